package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// clusterNamespaces are namespaces with their uids; one that is missing is gone.
type clusterNamespaces struct {
	mu   sync.Mutex
	uids map[string]string
	down error
}

func (c *clusterNamespaces) living(_ context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uids[name], c.down
}

// east has a host group in each of three namespaces, the oldest in "one".
func east() *binding.Set {
	set := binding.NewSet(nil)
	var groups []binding.HostGroup
	for i, namespace := range []string{"one", "two", "three"} {
		groups = append(groups, binding.HostGroup{Namespace: namespace, Name: "hosts", Lattice: "east", Created: time.Unix(int64(i), 0)})
	}
	set.SetHostGroups(groups)
	return set
}

func startHomes(t *testing.T) (homesForWash, *clusterNamespaces) {
	t.Helper()
	server := natsd.Run(t, natsd.Options{})
	links := newLattices("c1", func(context.Context, string) (*latticeLink, error) {
		conn, err := nats.Connect(server.ClientURL(), nats.ReconnectBufSize(-1))
		return &latticeLink{conn: conn}, err
	})
	t.Cleanup(links.close)
	namespaces := &clusterNamespaces{uids: map[string]string{"one": "1", "two": "2", "three": "3"}}
	return homesForWash{set: east(), lattices: links, living: namespaces.living}, namespaces
}

// The home is the namespace of the oldest host group, and stays, whatever host groups come and go, until it is gone, on its
// way out, or another one of the same name.
func TestHomeNamespace(t *testing.T) {
	t.Parallel()
	homes, cluster := startHomes(t)
	want := func(namespace string) {
		t.Helper()
		if got, err := homes.HomeNamespace(t.Context(), "east"); err != nil || got != namespace {
			t.Errorf("the home is %q, want %q: %v", got, namespace, err)
		}
	}
	want("one")
	groups := homes.set
	homes.set = binding.NewSet([]binding.Binding{{Lattice: "east", Namespaces: []string{"static"}}})
	cluster.uids["static"] = "s"
	want("one") // others are bound now
	homes.set = groups

	delete(cluster.uids, "one")
	delete(cluster.uids, "two")
	want("three")
	cluster.uids["one"], cluster.uids["two"] = "1", "2"
	want("three")                // it does not go back
	cluster.uids["three"] = "3b" // deleted and made again
	want("one")
	clear(cluster.uids)
	if got, err := homes.HomeNamespace(t.Context(), "east"); !errors.Is(err, wadmapi.ErrNoHome) {
		t.Errorf("without a namespace the home is %q, %v", got, err)
	}
	cluster.down = errors.New("kube-apiserver is away")
	if got, err := homes.HomeNamespace(t.Context(), "east"); !errors.Is(err, cluster.down) {
		t.Errorf("while nobody knows what lives the home is %q, %v", got, err)
	}
	cluster.down = nil
	if got, err := homes.HomeNamespace(t.Context(), "unbound"); !errors.Is(err, wadmapi.ErrNoHome) {
		t.Errorf("the home of a lattice without bindings is %q, %v", got, err)
	}
}

// A home of an earlier release has no uid, and stays while the namespace lives.
func TestHomeNamespaceWithoutUID(t *testing.T) {
	t.Parallel()
	homes, cluster := startHomes(t)
	link, err := homes.lattices.link(t.Context(), "east")
	if err != nil {
		t.Fatal(err)
	}
	home, err := link.ledger.Home(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	home.Namespace = "two"
	if err := link.ledger.SetHome(t.Context(), "c1", home); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"two", "one"} {
		if got, err := homes.HomeNamespace(t.Context(), "east"); err != nil || got != want {
			t.Errorf("the home is %q, want %q: %v", got, want, err)
		}
		delete(cluster.uids, "two")
	}
}

// Replicas that elect at once agree.
func TestHomeNamespaceByReplicas(t *testing.T) {
	t.Parallel()
	homes, cluster := startHomes(t)
	young := homes
	young.set = binding.NewSet([]binding.Binding{{Lattice: "east", Namespaces: []string{"three"}}}) // does not know all bindings yet
	for range 5 {
		results := make(chan string, 8)
		for i := range cap(results) {
			asked := homes
			if i%2 == 1 {
				asked = young
			}
			go func() {
				got, err := asked.HomeNamespace(t.Context(), "east")
				if err != nil {
					t.Error(err)
				}
				results <- got
			}()
		}
		first := <-results
		for range cap(results) - 1 {
			if next := <-results; next != first {
				t.Errorf("one replica says %q, another %q", first, next)
			}
		}
		cluster.mu.Lock()
		cluster.uids[first] += "again" // elect once more
		cluster.mu.Unlock()
	}
}

func TestNamespacesOf(t *testing.T) {
	leaving := metav1.Now()
	client := fake.NewClientset(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lives", UID: "u1"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "terminating", UID: "u2", DeletionTimestamp: &leaving, Finalizers: []string{"x"}}},
	)
	living := namespacesOf(client.CoreV1().Namespaces())
	for name, want := range map[string]string{"lives": "u1", "terminating": "", "gone": ""} {
		if got, err := living(t.Context(), name); err != nil || got != want {
			t.Errorf("namespace %s: %q, %v; want %q", name, got, err, want)
		}
	}
	down := errors.New("kube-apiserver is away")
	client.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, down })
	if _, err := living(t.Context(), "lives"); !errors.Is(err, down) {
		t.Errorf("while kube-apiserver is away: %v", err)
	}
}

// What wash puts updates the application that holds the name in the lattice, wherever it lives; a new one is made at home.
func TestWashPutsWhereverItLives(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	app := &oam.Application{}
	if err := json.Unmarshal(fmt.Appendf(nil, numbered, 1, 8001), app); err != nil {
		t.Fatal(err)
	}
	app.Namespace = "shop"
	if _, err := i.client.In("shop").Create(t.Context(), app, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		manifest := strings.Replace(fmt.Sprintf(numbered, n, 8000+n), `"metadata":{`, `"metadata":{"annotations":{"version":"by-wash"},`, 1)
		manifest = strings.Replace(manifest, `"namespace":"default"`, `"labels":{}`, 1)
		eventually(t, "wash puts", func() error {
			reply, err := i.dev.conn.Request("wadm.api."+devLattice+".model.put", []byte(manifest), 5*time.Second)
			if err == nil && !strings.Contains(string(reply.Data), `"version":"by-wash"`) && !strings.Contains(string(reply.Data), `"current_version":"by-wash"`) {
				err = fmt.Errorf("it answers %s", reply.Data)
			}
			return err
		})
	}
	list, err := i.client.In("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, app := range list.Items {
		where = append(where, app.Namespace+"/"+app.Name+"@"+app.Status.Version)
	}
	slices.Sort(where)
	if want := []string{"default/app-2@by-wash", "shop/app-1@by-wash"}; !slices.Equal(where, want) {
		t.Errorf("the applications are %v, want %v", where, want)
	}
}
