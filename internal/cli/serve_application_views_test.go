package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/policy"
)

// TestExposedApplications: what exposure reports of an application is what it is told of it next time, and the policies of
// the deployed version reach it.
func TestExposedApplications(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	i.apply(0, 1)
	views := exposedApplications{i.dev.cache, i.client, applications.NewRevisions(i.client)}
	key := types.NamespacedName{Namespace: "default", Name: "app-0"}
	app, err := i.client.In(key.Namespace).Get(t.Context(), key.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	app.Spec.Policies = []oam.Policy{{Name: "p", Type: policy.ExposeType, Properties: map[string]string{"component": "http", "ports": "[{port: 80, targetPort: 8000}]"}}}
	if app, err = i.client.In(key.Namespace).Update(t.Context(), app, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	look := func(what string, want func(*exposure.Application) bool) {
		t.Helper()
		eventually(t, what, func() error {
			got, err := views.Application(t.Context(), key)
			if err == nil && (got == nil || !want(got)) {
				err = fmt.Errorf("it is %+v", got)
			}
			return err
		})
	}
	look("the policy is seen", func(a *exposure.Application) bool {
		return a.Policy != nil && len(a.Policy.Ports) == 1 && a.Providers[0].Component == "http" && a.Providers[0].ServesHTTP
	})
	report := exposure.Exposure{Endpoint: "app-0.default.svc:80",
		Condition: &metav1.Condition{Type: exposure.ConditionExposed, Status: metav1.ConditionTrue, Reason: exposure.ReasonExposed, LastTransitionTime: metav1.Now()},
		Routed:    &metav1.Condition{Type: exposure.ConditionRouted, Status: metav1.ConditionFalse, Reason: exposure.ReasonNotAccepted, LastTransitionTime: metav1.Now()},
		Kept:      exposure.Kept{Type: corev1.ServiceTypeNodePort, Annotations: map[string]string{"a": "b"}, NodePorts: map[string]int32{"http": 30080}}}
	if err := views.Report(t.Context(), key, app.UID, report); err != nil {
		t.Fatal(err)
	}
	look("the report is seen", func(a *exposure.Application) bool {
		return a.Exposed != nil && a.Routed != nil && a.Routed.Reason == exposure.ReasonNotAccepted && a.Endpoint == report.Endpoint && cmp.Equal(a.Kept, report.Kept)
	})
	for uid, what := range map[types.UID]exposure.Exposure{app.UID: {}, "another": report} {
		if err := views.Report(t.Context(), key, uid, what); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := i.client.In(key.Namespace).Get(t.Context(), key.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := stored.Status; s.Service != nil || s.Endpoint != "" || meta.FindStatusCondition(s.Conditions, exposure.ConditionRouted) != nil {
		t.Errorf("taken back, or reported for another application of the name: %+v", s)
	}
}

type collectWarnings func(string)

func (c collectWarnings) HandleWarningHeader(_ int, _, text string) { c(text) }

// TestPortWarnings: the API server knows from the cache that it feeds who else wants a port.
func TestPortWarnings(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	i.apply(0, 1)
	eventually(t, "the cache has the application", func() error {
		if found := i.dev.cache.Listening(devLattice, 8000); len(found) != 1 {
			return fmt.Errorf("it has %d", len(found))
		}
		return nil
	})
	var warnings []string
	config := rest.CopyConfig(i.dev.adminConfig)
	config.WarningHandler = collectWarnings(func(text string) { warnings = append(warnings, text) })
	client, err := applications.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	rival := &oam.Application{}
	if err := json.Unmarshal(fmt.Appendf(nil, numbered, 1, 8000), rival); err != nil {
		t.Fatal(err)
	}
	if _, err := client.In("default").Create(t.Context(), rival, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], `application "app-0" in namespace "default" listens on port 8000`) {
		t.Errorf("warnings %q", warnings)
	}
}
