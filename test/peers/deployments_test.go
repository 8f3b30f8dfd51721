//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/test/controlplane"
)

// deployments is a record of all that was deployed of one application: which versions its status named, by a watch, and,
// where the lattice is ours, the commands that hosts got about it.
type deployments struct {
	mu       sync.Mutex
	versions []string
	commands []string
	// ready are the generations of which the status said that they are ready.
	ready map[int64]bool
	// newest is the resource version up to which the watch has come.
	newest string
}

// follow records from now on until the test ends.
func (l *lab) follow(t *testing.T, namespace, name string) *deployments {
	t.Helper()
	d := &deployments{ready: map[int64]bool{}}
	app := l.mustApplication(t, namespace, name)
	d.see(app)
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("core.oam.dev/v1beta1")
	list.SetKind("ApplicationList")
	events, err := l.client.Watch(t.Context(), list, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: app.GetResourceVersion()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Stop)
	go func() {
		for event := range events.ResultChan() {
			if u, ok := event.Object.(*unstructured.Unstructured); ok && event.Type != watch.Bookmark {
				d.see(u)
			}
		}
	}()
	if l.plane != nil {
		d.listen(t, l.plane.NATS, name)
	}
	return d
}

func (d *deployments) see(app *unstructured.Unstructured) {
	d.mu.Lock()
	defer d.mu.Unlock()
	version := text(app, "status", "deployedVersion")
	if len(d.versions) == 0 || d.versions[len(d.versions)-1] != version {
		d.versions = append(d.versions, version)
	}
	if condition(app, "Ready") == "True" && text(app, "status", "observedGeneration") == fmt.Sprint(app.GetGeneration()) {
		d.ready[app.GetGeneration()] = true
	}
	d.newest = app.GetResourceVersion()
}

// changing are the commands that change a lattice.
var changing = []string{"component.scale", "component.update", "provider.start", "provider.stop", "link.put", "link.del", "config.put", "config.del"}

func (d *deployments) listen(t *testing.T, url, name string) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	prefix, id := "wasmbus.ctl.v1."+controlplane.Lattice+".", strings.ReplaceAll(name, "-", "_")
	_, err = conn.Subscribe(prefix+">", func(m *nats.Msg) {
		command := strings.TrimPrefix(m.Subject, prefix)
		about := strings.Contains(m.Subject+string(m.Data), id) || strings.Contains(m.Subject+string(m.Data), name)
		if about && slices.ContainsFunc(changing, func(c string) bool { return strings.HasPrefix(command, c) }) {
			d.mu.Lock()
			d.commands = append(d.commands, command+" "+string(m.Data))
			d.mu.Unlock()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// wasReady says whether a generation was ever said to be ready.
func (d *deployments) wasReady(generation int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ready[generation]
}

// seen waits until the watch has come to an application's present state, and returns what it recorded.
func (d *deployments) seen(t *testing.T, l *lab, namespace, name string) (versions, commands []string) {
	t.Helper()
	eventually(t, "the watch has come to the present", func(ctx context.Context) string {
		app, err := l.application(ctx, namespace, name)
		if err != nil {
			return err.Error()
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.newest != app.GetResourceVersion() {
			return fmt.Sprintf("it is at %s, the application at %s", d.newest, app.GetResourceVersion())
		}
		return ""
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.versions), slices.Clone(d.commands)
}
