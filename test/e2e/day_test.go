//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// dayApplications are deployed at the beginning of the day.
const dayApplications = 20

// A day in the life of a platform: twenty applications of all kinds are deployed, changed and rolled back while hosts are
// killed and the operator and NATS are restarted; then all is undeployed. The lattice is in the end what the manifests say,
// and at night there is nothing left in it.
func TestADay(t *testing.T) {
	t.Cleanup(func() { renewPods(t, "operator", "nats") })
	d := newDay(t)
	d.step(t, "deploy", func() { d.applyAll(t, 1) })
	d.step(t, "update while hosts die", func() {
		d.killHosts(t)
		d.applyAll(t, 2)
	})
	d.step(t, "roll back by wash while the operator restarts", func() {
		kubectl(t, "rollout", "restart", "-n", system, "deployment/trellis")
		for _, a := range d.applications {
			if a.number%3 == 0 {
				d.wash(t, "deploy", a, `{"version":"v1"}`)
				a.version = 1
			}
		}
		kubectl(t, "rollout", "status", "-n", system, "deployment/trellis", "--timeout=90s")
	})
	d.step(t, "update while NATS restarts", func() {
		kubectl(t, "rollout", "restart", "-n", system, "statefulset/trellis-nats")
		d.applyAll(t, 3)
		awaitSystem(t)
	})
	d.undeployAll(t)
	var names []string
	for _, a := range d.applications {
		names = append(names, a.name)
	}
	d.lattice.awaitNothingLeft(t, patience, names...)
	kubectl(t, "delete", "applications", "--all", "-n", d.namespace, "--timeout=60s")
	if out := kubectl(t, "get", "applications,applicationrevisions,services,endpointslices", "-n", d.namespace, "-o", "name"); out != "" {
		t.Errorf("left in the namespace: %s", out)
	}
}

// day is a namespace with two groups of hosts and the applications on them.
type day struct {
	namespace    string
	applications []*dayApplication
	lattice      *latticeView
}

func newDay(t *testing.T) *day {
	t.Helper()
	d := &day{namespace: makeNamespace(t)}
	for zone, replicas := range map[string]int{"a": 2, "b": 1} {
		apply(t, d.namespace, fmt.Sprintf("apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata: {name: hosts-%s}\n"+
			"spec: {lattice: %s, version: 1.9.2, hostReplicas: %d, hostLabels: {day: %s, zone: %[1]s}}\n", zone, latticeName, replicas, d.namespace))
	}
	push(t, dayImage+":0.2.0", filepath.Join(root(t), "examples/hello/component/hello.wasm"))
	for number := range dayApplications {
		d.applications = append(d.applications, newDayApplication(d.namespace, number))
	}
	for _, zone := range []string{"a", "b"} {
		condition(t, d.namespace, "whc/hosts-"+zone, "Ready", "True", "")
	}
	d.lattice = openLattice(t)
	return d
}

// step does something, and waits until everything is as the manifests say.
func (d *day) step(t *testing.T, name string, do func()) {
	t.Helper()
	t.Logf("== %s", name)
	do()
	eventually(t, 2*patience, name+": all is as the manifests say", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return errors.Join(d.saysSo(t), d.runs(ctx), d.keeps(ctx))
	})
}

// killHosts ends one host of each zone without a word; it comes back empty.
func (d *day) killHosts(t *testing.T) {
	t.Helper()
	for _, group := range []string{"hosts-a", "hosts-b"} {
		kill(t, victim{d.namespace, "app.kubernetes.io/instance=" + group, "wasmcloud-host"}, 0, 0)
	}
}

func (d *day) applyAll(t *testing.T, version int) {
	t.Helper()
	var all strings.Builder
	for _, a := range d.applications {
		a.version = version
		all.WriteString(a.manifest() + "---\n")
	}
	eventually(t, patience, "apply", func() error {
		_, err := try(t, all.String(), "apply", "-n", d.namespace, "-f", "-")
		return err
	})
}

// wash asks wadm's API, again when nobody answers: wash's user would.
func (d *day) wash(t *testing.T, operation string, a *dayApplication, body string) {
	t.Helper()
	eventually(t, patience, "wash app "+operation+" "+a.name, func() error {
		reply, err := d.lattice.conn.Request("wadm.api."+latticeName+".model."+operation+"."+a.name, []byte(body), 10*time.Second)
		if err == nil && !strings.Contains(string(reply.Data), `"result":"acknowledged"`) {
			err = fmt.Errorf("the answer is %s", reply.Data)
		}
		return err
	})
}

// undeployAll undeploys half of them by wash and half by kubectl; those that use a component of another go first.
func (d *day) undeployAll(t *testing.T) {
	t.Helper()
	for i := len(d.applications) - 1; i >= 0; i-- {
		if a := d.applications[i]; a.number%2 == 0 {
			d.wash(t, "undeploy", a, "")
		} else {
			kubectl(t, "annotate", "application", a.name, "-n", d.namespace, "k8s.wasmcloud.dev/deployed-version=none")
		}
	}
	eventually(t, 2*patience, "all is undeployed", func() error {
		out, err := try(t, "", "get", "applications", "-n", d.namespace, "-o", "jsonpath={.items[*].status.phase}")
		if got := strings.Count(out, "Undeployed"); err == nil && got != len(d.applications) {
			err = fmt.Errorf("%d of %d: %s", got, len(d.applications), out)
		}
		return err
	})
}

// saysSo reads the status.
func (d *day) saysSo(t *testing.T) error {
	out, err := try(t, "", "get", "applications", "-n", d.namespace, "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.phase} {.status.deployedVersion} {.status.conditions[?(@.type=="Deployed")].message}{"\n"}{end}`)
	var errs []error
	for _, a := range d.applications {
		if want := fmt.Sprintf("%s Deployed v%d ", a.name, a.version); !strings.Contains(out, want) {
			errs = append(errs, fmt.Errorf("the status is not %q", want))
		}
	}
	if err == nil && len(errs) > 0 {
		errs = append(errs, errors.New(out))
	}
	return errors.Join(append(errs, err)...)
}

// runs compares what hosts run with what should run: id to zone to instances.
func (d *day) runs(ctx context.Context) error {
	want, got := map[string]map[string]uint32{}, map[string]map[string]uint32{}
	for _, a := range d.applications {
		a.expect(want)
	}
	hosts, err := d.lattice.client.Ping(ctx)
	if err != nil {
		return err
	}
	count := func(id, zone string, n uint32) {
		if got[id] == nil {
			got[id] = map[string]uint32{}
		}
		got[id][zone] += n
	}
	for _, host := range hosts {
		if host.Labels["day"] != d.namespace {
			continue
		}
		inventory, err := d.lattice.client.HostInventory(ctx, host.ID)
		if err != nil {
			return err
		}
		for _, c := range inventory.Components {
			if want := d.image(c.ID); d.owns(c.ID) && c.ImageRef != want {
				return fmt.Errorf("%s runs %s, want %s", c.ID, c.ImageRef, want)
			}
			count(c.ID, inventory.Labels["zone"], c.MaxInstances)
		}
		for _, p := range inventory.Providers {
			count(p.ID, inventory.Labels["zone"], 1)
		}
	}
	for id := range got {
		if !d.owns(id) {
			delete(got, id) // applications of others, which are for every host
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("what runs (-want +got):\n%s", diff)
	}
	return nil
}

// keeps compares links and configurations.
func (d *day) keeps(ctx context.Context) error {
	want, got := map[string]string{}, map[string]string{}
	for _, a := range d.applications {
		a.expectWiring(want)
	}
	links, err := linksOf(ctx, d.lattice.js)
	if err != nil {
		return err
	}
	for _, l := range links {
		if d.owns(l.SourceID) {
			got[fmt.Sprintf("%s -%s:%s-> %s", l.SourceID, l.WitNamespace, l.WitPackage, l.Target)] = strings.Join(append(l.SourceConfig, l.TargetConfig...), " ")
		}
	}
	bucket, err := lattice.ConfigBucket(latticeName)
	if err != nil {
		return err
	}
	names, err := keysOf(ctx, d.lattice.js, bucket)
	if err != nil {
		return err
	}
	store, err := d.lattice.js.KeyValue(ctx, bucket)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !d.owns(name) {
			continue
		}
		entry, err := store.Get(ctx, name)
		if err != nil {
			return err
		}
		got[name] = string(entry.Value())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("links and configurations (-want +got):\n%s", diff)
	}
	return nil
}

func (d *day) owns(id string) bool { return d.applicationOf(id) != nil }

func (d *day) applicationOf(id string) *dayApplication {
	for _, a := range d.applications {
		if of(id, a.name) {
			return a
		}
	}
	return nil
}

func (d *day) image(id string) string {
	if a := d.applicationOf(id); a != nil {
		return a.image()
	}
	return ""
}
