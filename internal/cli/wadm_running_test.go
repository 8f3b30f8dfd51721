package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// TestWadmRunning: while a wadm answers, applications say so, no host gets a command and wash is not answered by Trellis; of
// several processes too. When it has gone, the lattice is taken over and the condition goes.
func TestWadmRunning(t *testing.T) {
	t.Parallel()
	var host *simulated
	var wadm *nats.Conn
	i := prepareInstallation(t, func(i *installation) {
		host = simulate(t, i.nats.ClientURL())
		var err error
		if wadm, err = nats.Connect(i.nats.ClientURL()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(wadm.Close)
		if _, err := wadm.QueueSubscribe("wadm.api.>", "wadm_server", func(m *nats.Msg) { _ = m.Respond([]byte("[]")) }); err != nil {
			t.Fatal(err)
		}
		if err := wadm.Flush(); err != nil {
			t.Fatal(err)
		}
		i.askAgain = time.Second
	})
	i.apply(1, 2)
	condition := func(want bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("condition WadmRunning is there: %t", want), func() error {
			app, err := i.client.In("default").Get(t.Context(), "app-1", metav1.GetOptions{})
			if err != nil {
				return err
			}
			c := meta.FindStatusCondition(app.Status.Conditions, oam.ConditionWadmRunning)
			if (c != nil) != want {
				return fmt.Errorf("conditions %v", app.Status.Conditions)
			}
			return nil
		})
	}
	condition(true)
	i.quiet(host, 0)
	reply, err := i.dev.conn.Request("wadm.api."+devLattice+".model.list", nil, 5*time.Second)
	if err != nil || reply.Header.Get("Trellis-Version") != "" {
		t.Errorf("while wadm runs, %v answers: %v", reply, err)
	}
	wadm.Close()
	condition(false)
	i.deployed(1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if reply, err = i.dev.conn.RequestWithContext(ctx, "wadm.api."+devLattice+".model.list", nil); err != nil || reply.Header.Get("Trellis-Version") == "" {
		t.Errorf("after wadm: %v", errors.Join(err))
	}
}
