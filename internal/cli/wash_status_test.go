package cli

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Whoever listens to wadm.status hears each state once, whoever made the change: here it is kubectl and the orchestrator,
// and two processes look after the lattice.
func TestStatusIsPublishedOncePerChange(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	simulate(t, i.nats.ClientURL())
	replica := &latticeRuntime{name: devLattice, bindings: i.dev.bindings, lattices: i.dev.lattices, loopback: i.dev.loopback, cache: i.dev.cache,
		guard: i.dev.guard, living: anyNamespace, identity: "replica", window: devWindow, recorder: logRecorder{}}
	if err := replica.start(t.Context(), i.parts); err != nil {
		t.Fatal(err)
	}
	heard, err := i.dev.conn.SubscribeSync("wadm.status." + devLattice + ".app-1")
	if err != nil {
		t.Fatal(err)
	}
	i.apply(1, 2)
	app := i.deployed(1)[0]
	app.Annotations = map[string]string{oam.DeployedVersionAnnotation: oam.DeployedNone}
	if _, err := i.client.In("default").Update(t.Context(), &app, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	var states []string
	for len(states) == 0 || states[len(states)-1] != "undeployed" {
		msg, err := heard.NextMsg(patience)
		if err != nil {
			t.Fatalf("after %v: %v", states, err)
		}
		var status struct {
			Status struct{ Type string }
		}
		if err := json.Unmarshal(msg.Data, &status); err != nil {
			t.Fatal(err)
		}
		states = append(states, status.Status.Type)
		if count := len(states); count > 1 && states[count-2] == states[count-1] && states[count-1] != "reconciling" {
			t.Errorf("%q was published twice", states[count-1])
		}
	}
	if !slices.Contains(states, "deployed") || states[0] != "reconciling" {
		t.Errorf("the states are %v", states)
	}
	if msg, err := heard.NextMsg(time.Second); err == nil {
		t.Errorf("one message more: %s", msg.Data)
	}
}
