package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/internal/exposure"
)

const secretive = `{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":"secretive","namespace":"default"},"spec":{
 "policies":[{"name":"mine","type":"policy.secret.wasmcloud.dev/v1alpha1","properties":{"backend":"kube"}}],
 "components":[{"name":"main","type":"component","properties":{"image":"ghcr.io/acme/main:1"%s}}]}}`

// TestNotInDev: an application that wants Secrets or exposure says that dev has none, until it no longer does.
func TestNotInDev(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	file := filepath.Join(t.TempDir(), "app.yaml")
	apply := func(secrets string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(fmt.Sprintf(secretive, secrets)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := applyFile(t.Context(), i.dev.adminConfig, file); err != nil {
			t.Fatal(err)
		}
	}
	says := func(what string) {
		t.Helper()
		eventually(t, "the condition says "+what, func() error {
			app, err := i.client.In("default").Get(t.Context(), "secretive", metav1.GetOptions{})
			if err != nil {
				return err
			}
			c := meta.FindStatusCondition(app.Status.Conditions, conditionNotInDev)
			if (c == nil) != (what == "") || c != nil && (c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, what)) {
				return fmt.Errorf("it is %+v", c)
			}
			return nil
		})
	}
	apply(`,"secrets":[{"name":"password","properties":{"policy":"mine","key":"db"}}]`)
	says("Secrets")
	apply("")
	says("")
	app, err := i.client.In("default").Get(t.Context(), "secretive", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	app.Annotations = map[string]string{exposure.ExposeAnnotation: "route"}
	if _, err := i.client.In("default").Update(t.Context(), app, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	says("routes")
}
