package wadmapi_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// One type and one message for all parts of an application, as wadm's readers expect them.
func TestStatus_Aggregate(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "", app("shop", "v1", "i"))
	w.ask("model.deploy.shop", "", "")
	part := func(running int32, message string) []oam.ComponentStatus {
		return []oam.ComponentStatus{{ID: "shop-web", Desired: 1, Running: running, Message: message}}
	}
	notReady := []metav1.Condition{{Type: oam.ConditionReady, Status: metav1.ConditionFalse, Message: "no hosts"}}
	for name, c := range map[string]struct {
		status              oam.ApplicationStatus
		overall, message    string
		scaler, partMessage string
	}{
		"deployed":                {oam.ApplicationStatus{Phase: oam.PhaseDeployed, ObservedGeneration: 9, Components: part(1, "")}, "deployed", "", "deployed", ""},
		"of an older generation":  {oam.ApplicationStatus{Phase: oam.PhaseDeployed, ObservedGeneration: -1, Components: part(1, "")}, "reconciling", "", "deployed", ""},
		"under way":               {oam.ApplicationStatus{Phase: oam.PhaseReconciling, Components: part(0, "Scaling")}, "reconciling", "Scaling", "reconciling", "Scaling"},
		"failed":                  {oam.ApplicationStatus{Phase: oam.PhaseFailed, Components: part(0, "no such image")}, "failed", "no such image", "failed", "no such image"},
		"failed, this part is up": {oam.ApplicationStatus{Phase: oam.PhaseFailed, Components: part(1, ""), Conditions: notReady}, "failed", "no hosts", "deployed", ""},
		"nobody has looked":       {oam.ApplicationStatus{Conditions: notReady}, "reconciling", "no hosts", "reconciling", ""},
	} {
		api.edit("shop", func(a *oam.Application) {
			version := a.Status.Version
			a.Status = c.status
			a.Status.Version = version
		})
		info := func(kind, message string) map[string]any {
			if message == "" {
				return map[string]any{"type": kind}
			}
			return map[string]any{"type": kind, "message": message}
		}
		got := w.ask("model.status.shop", "", "").(map[string]any)["status"].(map[string]any)
		scaler := got["scalers"].([]any)[0].(map[string]any)
		if diff := cmp.Diff([]any{info(c.overall, c.message), info(c.scaler, c.partMessage)}, []any{got["status"], scaler["status"]}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What was not written is not told: wadm's listeners would act on it.
func TestNoEventWithoutWrite(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	w.ask("model.put", "", app("shop", "v1", "i:1"))
	w.ask("model.deploy.shop", "", "")
	w.ask("model.put", "", app("shop", "v2", "i:2"))
	events, err := w.conn.SubscribeSync("wadm.evt.default.>")
	if err != nil {
		t.Fatal(err)
	}
	api.mu.Lock()
	api.fail = func(call string) error {
		if call == "update" || call == "delete" {
			return apierrors.NewServiceUnavailable("NATS is away")
		}
		return nil
	}
	api.mu.Unlock()
	for _, c := range []struct{ tail, body, message string }{
		{"model.deploy.shop", "", "Internal storage error"}, {"model.undeploy.shop", "", "Internal storage error"},
		{"model.del.shop", "", "Internal storage error when deleting application shop"},
		{"model.del.shop", `{"version":"v1"}`, "Internal storage error when deleting v1 of application shop"},
	} {
		want(t, w.ask(c.tail, "", c.body), reply("error", c.message))
	}
	if n, _, _ := events.Pending(); n != 0 {
		t.Errorf("%d events of writes that failed", n)
	}
}
