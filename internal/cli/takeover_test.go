package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/takeover"
)

// wadmVersion is a version of app-N as wadm keeps it.
func wadmVersion(n, port int, version string) string {
	return strings.Replace(fmt.Sprintf(numbered, n, port), `"namespace":"default"`, fmt.Sprintf(`"annotations":{"version":%q}`, version), 1)
}

// runAsWadm makes a host run applications as wadm leaves them: ids, annotations, links and configurations. Links come when
// all runs, as with wadm: a host that is starting something writes its links as it knew them.
func runAsWadm(t *testing.T, client *control.Client, host *simulated, versions ...string) {
	t.Helper()
	var models []*manifest.Model
	for _, version := range versions {
		app, err := manifest.DecodeWadm("application/json", []byte(version))
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, manifest.Parse(app.Name, &app.Spec))
	}
	for _, m := range models {
		startAsWadm(t, client, host.id, m)
	}
	eventually(t, "the host runs what wadm left", func() error {
		if components, providers := host.runs(); components != len(models) || providers != len(models) {
			return fmt.Errorf("%d components and %d providers", components, providers)
		}
		return nil
	})
	for _, m := range models {
		for _, l := range m.Links {
			if err := client.PutLink(t.Context(), lattice.Link{
				SourceID: l.Source, Target: l.Target, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package,
				Interfaces: l.Interfaces, SourceConfig: l.SourceConfig, TargetConfig: l.TargetConfig,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func startAsWadm(t *testing.T, client *control.Client, host string, m *manifest.Model) {
	t.Helper()
	ctx := t.Context()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range m.Configs {
		do(client.PutConfig(ctx, c.Name, c.Values))
	}
	for _, c := range m.Components {
		marks := map[string]string{
			"wasmcloud.dev/managed-by": "wadm", "wasmcloud.dev/appspec": m.Name,
			"wasmcloud.dev/scaler": c.Scaler.ID, "wasmcloud.dev/spread_name": c.Scaler.Spreads[0].Name,
		}
		if c.Kind == manifest.KindProvider {
			do(client.StartProvider(ctx, lattice.StartProvider{ProviderID: c.ID, ProviderRef: c.Image, HostID: host, Config: c.Config, Annotations: marks}))
			continue
		}
		_, err := client.ScaleComponent(ctx, lattice.ScaleComponent{ComponentID: c.ID, ComponentRef: c.Image, Count: c.Scaler.Instances, HostID: host, Config: c.Config, Annotations: marks})
		do(err)
	}
}

// prepareInstallation is startInstallation with what was there before it.
func prepareInstallation(t *testing.T, before func(*installation)) *installation {
	t.Helper()
	i := &installation{t: t, dir: filepath.Join(t.TempDir(), "nats")}
	i.startNATS()
	t.Cleanup(func() { i.nats.Shutdown() })
	before(i)
	i.start(filepath.Join(t.TempDir(), "state"))
	return i
}

// TestTakeOverFromWadm: wadm has gone and left its bucket and a host that runs two applications. They come along with their
// versions, in order, and with what was deployed; not one command reaches the host, and wash goes on as before.
func TestTakeOverFromWadm(t *testing.T) {
	t.Parallel()
	var host *simulated
	var before int
	i := prepareInstallation(t, func(i *installation) {
		host = simulate(t, i.nats.ClientURL())
		conn, err := nats.Connect(i.nats.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: takeover.Bucket})
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range map[string]string{
			"default":       `["app-1","app-2","app-3"]`,
			"default-app-1": fmt.Sprintf(`{"manifests":{"z":%s},"deployed_version":"z"}`, wadmVersion(1, 8001, "z")),
			"default-app-2": fmt.Sprintf(`{"manifests":{"v9":%s,"v1":%s},"deployed_version":"v9"}`, wadmVersion(2, 8002, "v9"), wadmVersion(2, 9002, "v1")),
			"default-app-3": fmt.Sprintf(`{"manifests":{"v1":%s},"deployed_version":null}`, strings.Replace(wadmVersion(3, 8003, "v1"), `"name":"http"`, `"name":"main"`, 1)),
		} {
			if _, err := kv.Put(t.Context(), key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		client, err := control.New(conn, devLattice, control.Options{})
		if err != nil {
			t.Fatal(err)
		}
		runAsWadm(t, client, host, wadmVersion(1, 8001, "z"), wadmVersion(2, 8002, "v9"))
		before = len(host.sent(0))
	})
	phases := map[string]oam.ApplicationPhase{"app-1": oam.PhaseDeployed, "app-2": oam.PhaseDeployed, "app-3": oam.PhaseUndeployed}
	eventually(t, "the applications are there and settled", func() error {
		list, err := i.client.In("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != len(phases) {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		for _, app := range list.Items {
			if app.Status.Phase != phases[app.Name] {
				return fmt.Errorf("%s is %s: %v", app.Name, app.Status.Phase, app.Status.Conditions)
			}
		}
		return nil
	})
	i.quiet(host, before)
	if components, providers := host.runs(); components != 2 || providers != 2 {
		t.Errorf("the host runs %d components and %d providers", components, providers)
	}
	i.importedConditions(map[string]string{"app-1": "FromWadm", "app-2": "FromWadm", "app-3": "WithNotes"})

	reply := func(tail string) string {
		msg, err := i.dev.conn.Request("wadm.api."+devLattice+".model."+tail, nil, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return string(msg.Data)
	}
	for tail, want := range map[string]string{
		"versions.app-2": `"versions":[{"version":"v9","deployed":true},{"version":"v1","deployed":false}]`,
		"get.app-2":      `"version":"v1"`,
		"status.app-3":   `"status":{"type":"undeployed"}`,
	} {
		if got := reply(tail); !strings.Contains(got, want) {
			t.Errorf("%s answers %s, want %s", tail, got, want)
		}
	}
	var out strings.Builder
	noteLattice(t.Context(), &out, i.dev.lattices, devLattice, &config.Config{Secrets: config.Secrets{Enabled: true}})
	for _, want := range []string{"3 applications were taken over from wadm", "is served by Trellis", "asks for a secret is unknown: its lattice has no account"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("trellis check does not say %q:\n%s", want, &out)
		}
	}
	// What was deployed can be changed from here on: wash deploys the newer version.
	reply("deploy.app-2")
	eventually(t, "the newer version is deployed", func() error {
		app, err := i.client.In("default").Get(t.Context(), "app-2", metav1.GetOptions{})
		if err == nil && (app.Status.DeployedVersion != "v1" || app.Status.Phase != oam.PhaseDeployed) {
			err = fmt.Errorf("version %s, %s", app.Status.DeployedVersion, app.Status.Phase)
		}
		return err
	})
}

// TestTakeOverByReplicas: several processes take the same lattice over at once, through the real API; each application is
// there once, with ten of its versions in wadm's order and with what was deployed, and none enters its lattice before.
func TestTakeOverByReplicas(t *testing.T) {
	t.Parallel()
	i := startInstallation(t)
	js, err := jetstream.New(i.dev.conn)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: takeover.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	const count, versions = 5, 12
	var names []string
	for n := range count {
		var members []string
		for v := range versions {
			members = append(members, fmt.Sprintf(`"v%d":%s`, v, wadmVersion(n, 8000+100*n+v, fmt.Sprint("v", v))))
		}
		names = append(names, fmt.Sprintf(`"app-%d"`, n))
		if _, err := kv.Put(t.Context(), fmt.Sprintf("default-app-%d", n), fmt.Appendf(nil, `{"manifests":{%s},"deployed_version":"v1"}`, strings.Join(members, ","))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.Put(t.Context(), "default", []byte("["+strings.Join(names, ",")+"]")); err != nil {
		t.Fatal(err)
	}
	link, err := i.dev.lattices.link(t.Context(), devLattice)
	if err != nil {
		t.Fatal(err)
	}
	var replicas sync.WaitGroup
	for range 3 {
		replica := &latticeRuntime{name: devLattice, bindings: i.dev.bindings, lattices: i.dev.lattices, loopback: i.dev.loopback,
			living: anyNamespace, recorder: logRecorder{}}
		replicas.Go(func() {
			if err := replica.takeOver(t.Context(), link); err != nil {
				t.Error(err)
			}
		})
	}
	replicas.Wait()
	want := []string{"v1", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11"}
	for n := range count {
		app, err := i.client.In("default").Get(t.Context(), fmt.Sprint("app-", n), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := applications.NewItself(i.client).Versions(t.Context(), app)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", app.Name, diff, err)
		}
		if app.Status.Version != "v11" || app.Annotations[oam.WashDeployedVersionAnnotation] != "v1" || app.Status.Lattice != devLattice {
			t.Errorf("%s: version %s, annotations %v, lattice %q", app.Name, app.Status.Version, app.Annotations, app.Status.Lattice)
		}
	}
}

// importedConditions compares the reasons of condition Imported.
func (i *installation) importedConditions(want map[string]string) {
	i.t.Helper()
	got := map[string]string{}
	list, err := i.client.In("default").List(i.t.Context(), metav1.ListOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	for _, app := range list.Items {
		if c := meta.FindStatusCondition(app.Status.Conditions, oam.ConditionImported); c != nil {
			got[app.Name] = c.Reason
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		i.t.Errorf("conditions (-want +got):\n%s", diff)
	}
}
