package exposure

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

// servedKinds are the kinds of the Gateway API that a fake cluster serves, with their versions.
type servedKinds map[string]string

func (s servedKinds) RESTMapping(kind schema.GroupKind, _ ...string) (*meta.RESTMapping, error) {
	version, served := s[kind.Kind]
	if !served || kind.Group != gatewayGroup {
		return nil, &meta.NoKindMatchError{GroupKind: kind}
	}
	return &meta.RESTMapping{GroupVersionKind: kind.WithVersion(version)}, nil
}

// setPolicy gives the application one expose policy.
func (w *world) setPolicy(properties map[string]string) {
	w.t.Helper()
	spec := &oam.ApplicationSpec{Policies: []oam.Policy{{Name: "p", Type: policy.ExposeType, Properties: properties}}}
	for _, p := range w.app.Providers {
		spec.Components = append(spec.Components, oam.Component{Name: p.Component, Type: "capability"})
	}
	w.app.Policy, w.app.Problems = policy.Read(w.app.Name, spec)
	for _, p := range w.app.Problems {
		w.t.Log(p)
	}
}

// bridge gives the application a provider that no link of HTTP leads to, on both hosts.
func (w *world) bridge() {
	w.app.Providers = append(w.app.Providers, Provider{ID: "hello_world-bridge", Component: "bridge", Image: "ghcr.io/acme/mqtt:1"})
	w.view.hosts["hello_world-bridge"] = []Host{hostOf("hosts-0"), hostOf("hosts-1")}
}

// ports lists the ports of the Service.
func (w *world) ports() string {
	w.t.Helper()
	s := w.service()
	if s == nil {
		return "no Service"
	}
	var out []string
	for _, p := range s.Spec.Ports {
		text := fmt.Sprintf("%s:%d>%s/%s", p.Name, p.Port, p.TargetPort.String(), p.Protocol)
		if p.AppProtocol != nil {
			text += "=" + *p.AppProtocol
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func (w *world) pod(name string) *corev1.Pod {
	w.t.Helper()
	var pod corev1.Pod
	if err := w.client.Get(context.Background(), types.NamespacedName{Namespace: "default", Name: name}, &pod); err != nil {
		w.t.Fatal(err)
	}
	return &pod
}

// message demands words in a condition.
func (w *world) message(words ...string) {
	w.t.Helper()
	if w.app.Exposed == nil {
		w.t.Fatal("no condition")
	}
	demand(w.t, w.app.Exposed.Message, words...)
}

func demand(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
}
