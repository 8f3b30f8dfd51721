package hostgroup

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// TestPod_LeafIsAlone: nobody outside the pod reaches the leaf, or anything that NATS serves without being asked.
func TestPod_LeafIsAlone(t *testing.T) {
	for _, name := range []string{"full", "plant"} {
		group := loadGroup(t, readInput(t, name))
		objects, err := Build(group, Inputs{LeafURLs: []string{"nats://hub:7422"}})
		if err != nil {
			t.Fatal(err)
		}
		group.Spec.NATS = nil // its files are not here
		options := &server.Options{}
		if err := options.ProcessConfigString(LeafConfig(&group.Spec, Inputs{LeafURLs: []string{"nats://hub:7422"}})); err != nil {
			t.Fatal(err)
		}
		if options.Host != "127.0.0.1" || options.Port != LeafPort || options.HTTPPort != 0 || options.Websocket.Port != 0 || options.LeafNode.Port != 0 {
			t.Errorf("%s: the leaf listens on %s:%d, %d, %d, %d", name, options.Host, options.Port, options.HTTPPort, options.Websocket.Port, options.LeafNode.Port)
		}
		for _, c := range append(podOf(objects).InitContainers, podOf(objects).Containers...) {
			if len(c.Ports) > 0 {
				t.Errorf("%s: container %s has ports %v", name, c.Name, c.Ports)
			}
		}
	}
}

func podOf(o Objects) *corev1.PodSpec {
	if o.DaemonSet != nil {
		return &o.DaemonSet.Spec.Template.Spec
	}
	return &o.Deployment.Spec.Template.Spec
}

// TestPod_Restricted: what the restricted level of Pod Security asks for, no API token, and probes.
func TestPod_Restricted(t *testing.T) {
	for _, name := range []string{"full", "plant"} {
		objects, err := Build(loadGroup(t, readInput(t, name)), Inputs{})
		if err != nil {
			t.Fatal(err)
		}
		pod := podOf(objects)
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || *objects.ServiceAccount.AutomountServiceAccountToken {
			t.Errorf("%s: the pod has a token", name)
		}
		if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: security = %+v", name, s)
		}
		if pod.HostNetwork || pod.HostPID || pod.HostIPC {
			t.Errorf("%s: the pod uses what is the node's", name)
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			if c.Name != v1alpha1.HelperContainer && c.Name != v1alpha1.LeafContainer && c.Name != v1alpha1.HostContainer {
				continue // the user's own
			}
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || s.Privileged != nil {
				t.Errorf("%s: container %s: %+v", name, c.Name, s)
			}
			if c.Name != v1alpha1.HelperContainer && (c.StartupProbe == nil || c.ReadinessProbe == nil) {
				t.Errorf("%s: container %s lacks probes", name, c.Name)
			}
		}
		for _, v := range pod.Volumes {
			if v.HostPath != nil {
				t.Errorf("%s: volume %s is the node's", name, v.Name)
			}
		}
	}
}

// TestCache: Secrets are never cached, which would need the right to list them all; everything else by label only.
func TestCache(t *testing.T) {
	for object, by := range CacheByObject() {
		if _, is := object.(*corev1.Secret); is {
			t.Error("Secrets are cached")
		}
		if by.Label == nil || by.Label.Empty() {
			t.Errorf("every %T of the cluster is cached", object)
			continue
		}
		for _, manager := range []string{v1alpha1.ManagedBy, v1alpha1.ManagedByOld} { // of what wasmCloud's operator made, too
			if !by.Label.Matches(labels.Set{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.ManagedByLabel: manager}) {
				t.Errorf("a %T that %s manages is not seen", object, manager)
			}
		}
	}
}

// TestHostEnv_SecretsTopic: what the group names wins, and without a backend there is none.
func TestHostEnv_SecretsTopic(t *testing.T) {
	for name, tc := range map[string]struct{ own, given, want string }{
		"no backend":            {"", "", ""},
		"no backend of Trellis": {"vault", "", "vault"},
		"the backend":           {"", "wasmcloud.secrets.default.hosts", "wasmcloud.secrets.default.hosts"},
		"both":                  {"vault", "wasmcloud.secrets.default.hosts", "vault"},
	} {
		group := loadGroup(t, minimalGroup)
		group.Spec.SecretsTopicPrefix = tc.own
		got := ""
		for _, v := range hostEnv(group, Inputs{SecretsTopic: tc.given}) {
			if v.Name == "WASMCLOUD_SECRETS_TOPIC" {
				got = v.Value
			}
		}
		if got != tc.want {
			t.Errorf("%s: hosts ask below %q, want %q", name, got, tc.want)
		}
	}
}
