package cli

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// slowHosts answer at the end of the window, and not at all once they lost their hub.
type slowHosts struct {
	mu   sync.Mutex
	lost bool
}

func (s *slowHosts) lose(lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = lost
}

func (s *slowHosts) answers() bool {
	time.Sleep(serveWindow) // virtual: what a real answer takes at most
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lost
}

func (s *slowHosts) Ping(context.Context) ([]lattice.HostPing, error) {
	if s.answers() {
		return []lattice.HostPing{{ID: "N"}}, nil
	}
	return nil, nil
}

func (s *slowHosts) HostInventory(context.Context, string) (lattice.Inventory, error) {
	if s.answers() {
		return lattice.Inventory{HostID: "N", FriendlyName: "n"}, nil
	}
	return lattice.Inventory{}, errors.New("timeout")
}

func (s *slowHosts) Events(ctx context.Context, _ func(lattice.Event), _ func(error)) (<-chan struct{}, error) {
	return ctx.Done(), nil
}

// TestRollCall: that a leaf lost its hub shows within 10 s, and that it is back as well.
func TestRollCall(t *testing.T) {
	groups := groupsAndSecrets(t, &v1alpha1.WasmCloudHostConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "edge"},
		Spec: v1alpha1.WasmCloudHostConfigSpec{Lattice: "edge"}})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		hosts := &slowHosts{}
		view := &observer{census: census.New(hosts, census.Options{})}
		views := newObservers()
		views.set("edge", view)
		var running sync.WaitGroup
		running.Go(func() { _ = view.census.Run(ctx) })
		running.Go(func() { _ = (&rollCall{observers: views, groups: groups}).Start(ctx) })
		time.Sleep(time.Minute)
		for _, lost := range []bool{false, true, false} {
			hosts.lose(lost)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if found, err := views.Hosts(ctx, "edge"); err != nil || len(found) != 1 || found[0].Silent != lost {
				t.Errorf("lost %v: %+v, %v", lost, found, err)
			}
		}
		cancel()
		running.Wait()
	})
}

// TestObservers_Fail: the status of a group says why its lattice is not connected; the same reason is no news.
func TestObservers_Fail(t *testing.T) {
	views := newObservers()
	if why := errors.New("the NATS server refuses the credentials"); !views.fail("edge", why) || views.fail("edge", why) {
		t.Error("a first reason is no news, or the same one is")
	}
	if _, err := views.Hosts(t.Context(), "edge"); err == nil || !strings.Contains(err.Error(), "refuses the credentials") {
		t.Errorf("error = %v", err)
	}
	if _, err := views.Hosts(t.Context(), "other"); err == nil || !strings.Contains(err.Error(), "not connected yet") {
		t.Errorf("error = %v", err)
	}
}
