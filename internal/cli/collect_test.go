package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/ledger"
)

// TestCollect_Ledger: the names of a deleted application are free again for everybody once nothing of it runs, in the
// ledger of the lattice; those of a living one and of another cluster's stay.
func TestCollect_Ledger(t *testing.T) {
	t.Parallel()
	clock := testclock.NewFakeClock(time.Now())
	i := startInstallationAt(t, clock)
	host := simulate(t, i.nats.ClientURL())
	i.apply(0, 2)
	i.deployed(2)
	link, err := i.dev.lattices.link(t.Context(), devLattice)
	if err != nil {
		t.Fatal(err)
	}
	theirs := ledger.Owner{Cluster: "another", Namespace: "default", Name: "app-1", UID: "theirs"}
	if err := link.ledger.Claim(t.Context(), "id", "app-1", theirs); err != nil {
		t.Fatal(err)
	}
	held := func(kind, name string) bool {
		claim, err := link.ledger.Holder(t.Context(), kind, name)
		if err != nil {
			t.Fatal(err)
		}
		return claim != nil
	}
	for range 4 { // nothing is freed while everything is needed
		clock.Step(5 * time.Minute)
	}
	if err := i.client.In("default").Delete(t.Context(), "app-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if !held("name", "app_1") || !held("name", "app_0") {
		t.Fatal("a name is free too soon")
	}
	eventually(t, "the name of the deleted application is free", func() error {
		clock.Step(5 * time.Minute) // one look; what it does is seen by the next
		if held("name", "app_1") {
			return errors.New("it is held")
		}
		return nil
	})
	records, err := link.ledger.ListTeardowns(t.Context(), i.dev.lattices.cluster)
	if components, _ := host.runs(); err != nil || len(records) != 0 || components != 1 {
		t.Errorf("the name was freed with %d teardown records open and %d components running: %v", len(records), components, err)
	}
	for kind, name := range map[string]string{"name": "app_0", "id": "app-1"} {
		if !held(kind, name) {
			t.Errorf("%s %q is free: it belongs to a living application", kind, name)
		}
	}
	elsewhere := &oam.Application{}
	if err := json.Unmarshal(fmt.Appendf(nil, numbered, 1, 8001), elsewhere); err != nil {
		t.Fatal(err)
	}
	elsewhere.Namespace = "shop"
	created, err := i.client.In("shop").Create(t.Context(), elsewhere, metav1.CreateOptions{})
	if err != nil || created.Status.Lattice != devLattice {
		t.Errorf("another namespace takes the name that is free: %v", err)
	}
	if claim, err := link.ledger.Holder(t.Context(), "name", "app_1"); err != nil || claim == nil || claim.Namespace != "shop" {
		t.Errorf("the claim is %+v: %v", claim, err)
	}
}
