package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/natsd"
)

// several is an installation whose one process looks after three lattices: two in one account, one in another.
type several struct {
	*installation
	far   *natsd.Server
	hosts map[string]*simulated
	conns map[string]*nats.Conn
}

func startSeveral(t *testing.T) *several {
	t.Helper()
	s := &several{installation: startInstallation(t), far: natsd.Run(t, natsd.Options{}), hosts: map[string]*simulated{}, conns: map[string]*nats.Conn{}}
	farConn, err := nats.Connect(s.far.ClientURL(), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(farConn.Close)
	s.conns = map[string]*nats.Conn{devLattice: s.dev.conn, "near": s.dev.conn, "far": farConn}
	s.dev.lattices.mu.Lock()
	s.dev.lattices.connect = func(_ context.Context, lattice string) (*latticeLink, error) {
		return &latticeLink{conn: s.conns[lattice]}, nil
	}
	s.dev.lattices.mu.Unlock()
	s.dev.bindings.SetHostGroups([]binding.HostGroup{{Namespace: "default", Name: "a", Lattice: "near"}, {Namespace: "default", Name: "b", Lattice: "far"}})
	for lattice, url := range map[string]string{devLattice: s.nats.ClientURL(), "near": s.nats.ClientURL(), "far": s.far.ClientURL()} {
		s.hosts[lattice] = simulateIn(t, url, lattice)
		if lattice == devLattice {
			continue
		}
		r := &latticeRuntime{name: lattice, bindings: s.dev.bindings, lattices: s.dev.lattices, loopback: s.dev.loopback, cache: s.dev.cache,
			guard: s.dev.guard, living: anyNamespace, identity: "test", window: devWindow, recorder: logRecorder{}}
		if err := r.start(t.Context(), s.parts); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// put applies application n into a lattice.
func (s *several) put(n, port int, lattice string) {
	s.t.Helper()
	label := fmt.Sprintf(`"namespace":"default","labels":{%q:%q}`, oam.LatticeLabel, lattice)
	file := filepath.Join(s.t.TempDir(), "app.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(fmt.Sprintf(numbered, n, port), `"namespace":"default"`, label, 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := applyFile(s.t.Context(), s.dev.adminConfig, file); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until each host runs so many applications, and applications are deployed where they belong.
func (s *several) await(what string, applications map[string]int, lattices map[int]string) {
	s.t.Helper()
	eventually(s.t, what, func() error {
		var errs []error
		for lattice, want := range applications {
			if components, providers := s.hosts[lattice].runs(); components != want || providers != want {
				errs = append(errs, fmt.Errorf("the host of %s runs %d components and %d providers, want %d", lattice, components, providers, want))
			}
		}
		for n, lattice := range lattices {
			app, err := s.client.In("default").Get(s.t.Context(), fmt.Sprint("app-", n), metav1.GetOptions{})
			if err != nil {
				return err
			}
			if app.Status.Lattice != lattice || app.Status.Phase != oam.PhaseDeployed || app.Status.ObservedGeneration != app.Generation {
				errs = append(errs, fmt.Errorf("%s is %s in %s: %v", app.Name, app.Status.Phase, app.Status.Lattice, app.Status.Conditions))
			}
		}
		return errors.Join(errs...)
	})
}

// TestSeveralLattices: what is said to one lattice reaches its hosts and nobody else's, wash sees in each what is there,
// one that can't be reached does not hold up the others, and an application that moves is torn down where it was.
func TestSeveralLattices(t *testing.T) {
	t.Parallel()
	s := startSeveral(t)
	for n, lattice := range map[int]string{1: devLattice, 2: "near", 3: "far"} {
		s.put(n, 8000+n, lattice)
	}
	where := map[int]string{1: devLattice, 2: "near", 3: "far"}
	s.await("each application runs in its lattice", map[string]int{devLattice: 1, "near": 1, "far": 1}, where)
	for n, lattice := range where {
		reply, err := s.conns[lattice].Request("wadm.api."+lattice+".model.list", nil, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for other := range where {
			if listed := strings.Contains(string(reply.Data), fmt.Sprintf(`"name":"app-%d"`, other)); listed != (other == n) {
				t.Errorf("app-%d in the list of lattice %s: %t; the list is %s", other, lattice, listed, reply.Data)
			}
		}
	}

	s.far.Shutdown()
	s.put(2, 9002, "near")
	s.put(4, 8004, devLattice)
	s.await("the others go on without one of them", map[string]int{devLattice: 2, "near": 1}, map[int]string{1: devLattice, 2: "near", 4: devLattice})

	s.put(2, 9002, devLattice)
	s.await("an application moves", map[string]int{devLattice: 3, "near": 0}, map[int]string{1: devLattice, 2: devLattice, 4: devLattice})
	eventually(t, "nothing of it is left where it was", func() error {
		link, err := s.dev.lattices.link(t.Context(), "near")
		if err != nil {
			return err
		}
		records, err := link.ledger.ListTeardowns(t.Context(), s.dev.lattices.cluster)
		if err == nil && len(records) > 0 {
			err = fmt.Errorf("records %v", records)
		}
		configs, configsErr := keys(t, s.dev.conn, "CONFIGDATA_near")
		if configsErr == nil && len(configs) > 0 {
			configsErr = fmt.Errorf("configurations %v", configs)
		}
		return errors.Join(err, configsErr)
	})
}

func keys(t *testing.T, conn *nats.Conn, bucket string) ([]string, error) {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	kv, err := js.KeyValue(t.Context(), bucket)
	if err != nil {
		return nil, err
	}
	names, err := kv.Keys(t.Context())
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	return names, err
}
