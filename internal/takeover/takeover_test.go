package takeover

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

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/natsd"
)

// wadm is a bucket as wadm writes it.
type wadm struct {
	t    *testing.T
	conn *nats.Conn
	kv   jetstream.KeyValue
}

func startWadm(t *testing.T) *wadm {
	t.Helper()
	conn, err := nats.Connect(natsd.Run(t, natsd.Options{}).ClientURL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: Bucket, History: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &wadm{t, conn, kv}
}

func (w *wadm) put(key, value string) {
	w.t.Helper()
	if _, err := w.kv.Put(w.t.Context(), key, []byte(value)); err != nil {
		w.t.Fatal(err)
	}
}

// app is a stored application: versions in order, and the deployed one, empty for none.
func app(name, deployed string, versions ...string) string {
	var members []string
	for _, v := range versions {
		members = append(members, fmt.Sprintf(`%q:{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":%q,"annotations":{"version":%q},"labels":{"tier":"web"}},`+
			`"spec":{"components":[{"name":"web","type":"component","properties":{"image":"i:%s"},"traits":[{"type":"spreadscaler","properties":{"instances":1}}]}]}}`, v, name, v, v))
	}
	deployedJSON, _ := json.Marshal(deployed)
	if deployed == "" {
		deployedJSON = []byte("null")
	}
	return fmt.Sprintf(`{"manifests":{%s},"deployed_version":%s}`, strings.Join(members, ","), deployedJSON)
}

// told collects what is said about applications.
type told struct {
	mu    sync.Mutex
	notes map[string][]string
}

func (w *wadm) config(api *fakeAPI, notes *told) Config {
	return Config{
		Conn: w.conn, Lattice: "default", Cluster: "c1", Applications: api, Keep: 10,
		Home: func(context.Context) (string, error) { return "home", nil },
		Told: func(_ context.Context, app *oam.Application, said []string) error {
			notes.mu.Lock()
			defer notes.mu.Unlock()
			notes.notes[app.Name] = said
			return nil
		},
		Now: func() time.Time { return time.Unix(1000, 0) },
	}
}

func newTold() *told { return &told{notes: map[string][]string{}} }

// fill writes two applications with many versions.
func (w *wadm) fill() {
	w.put("default", `["shop","zoo"]`)
	w.put("default-shop", app("shop", "v10", "v9", "v10", "01HXXXXXXXXXXXXXXXXXXXXXXX", "v1"))
	w.put("default-zoo", app("zoo", "", "b", "a"))
}

// same compares what the API has with what fill wrote.
func same(t *testing.T, api *fakeAPI) {
	t.Helper()
	if diff := cmp.Diff(map[string][]string{"home/shop": {"v9", "v10", "01HXXXXXXXXXXXXXXXXXXXXXXX", "v1"}, "home/zoo": {"b", "a"}}, api.versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	for name, want := range map[string][2]string{"home/shop": {"v1", "v10"}, "home/zoo": {"a", "none"}} {
		got := api.apps[name]
		if got == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		annotations := map[string]string{"version": want[0], oam.WashDeployedVersionAnnotation: want[1], oam.WadmImportAnnotation: "done"}
		labels := map[string]string{"tier": "web", oam.LatticeLabel: "default"}
		if diff := cmp.Diff([]any{annotations, labels, "i:" + want[0]}, []any{got.Annotations, got.Labels, got.Spec.Components[0].Properties.Image}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRun(t *testing.T) {
	w, api, notes := startWadm(t), newFakeAPI(), newTold()
	w.fill()
	c := w.config(api, notes)
	report, isNew, err := Run(t.Context(), c)
	if err != nil || !isNew {
		t.Fatalf("the first run: new %v, error %v", isNew, err)
	}
	same(t, api)
	if diff := cmp.Diff(map[string][]string{"shop": nil, "zoo": nil}, notes.notes); diff != "" {
		t.Errorf("notes:\n%s", diff)
	}
	if report.Imported != 2 || report.String() != "2 applications were taken over from wadm" {
		t.Errorf("the report is %s", report)
	}

	writes := api.writes
	delete(api.apps, "home/zoo") // deleted since: it must not come back
	again, isNew, err := Run(t.Context(), c)
	if err != nil || isNew || api.writes != writes {
		t.Errorf("the second run: new %v, error %v, %d writes", isNew, err, api.writes-writes)
	}
	looked, err := Look(t.Context(), c)
	for _, r := range []*Report{again, looked} {
		if diff := cmp.Diff(report, r); diff != "" || err != nil {
			t.Errorf("the report on record, %v:\n%s", err, diff)
		}
	}
	for _, key := range []string{"default", "default-shop", "default-zoo"} { // wadm could go on from it
		if entry, err := w.kv.Get(t.Context(), key); err != nil || entry.Revision() > 3 {
			t.Errorf("wadm's key %s was changed: %v", key, err)
		}
	}
}

// Without a bucket there is nothing to do, and nothing is written down: wadm may run here later.
func TestRun_NoWadm(t *testing.T) {
	conn, err := nats.Connect(natsd.Run(t, natsd.Options{}).ClientURL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c := (&wadm{t: t, conn: conn}).config(newFakeAPI(), newTold())
	if report, isNew, err := Run(t.Context(), c); report != nil || isNew || err != nil {
		t.Errorf("%v, %v, %v", report, isNew, err)
	}
	if report, err := Look(t.Context(), c); report != nil || err != nil {
		t.Errorf("%v, %v", report, err)
	}
}

// TestRun_Interrupted ends the process at every single call, before and after it took effect, and starts again.
func TestRun_Interrupted(t *testing.T) {
	w := startWadm(t)
	w.fill()
	for calls, ended := 0, true; ended; calls++ {
		ended = false
		for _, after := range []bool{false, true} {
			api, notes := newFakeAPI(), newTold()
			c := w.config(api, notes)
			api.limited, api.calls, api.after = true, calls, after
			_, _, err := Run(t.Context(), c)
			ended = ended || errors.Is(err, errEnded)
			if err != nil && !errors.Is(err, errEnded) {
				t.Fatalf("after %d calls: %v", calls, err)
			}
			for _, half := range api.apps {
				if half.Annotations[oam.WadmImportAnnotation] == "" {
					t.Errorf("after %d calls %s could enter its lattice half written", calls, half.Name)
				}
			}
			api.limited = false
			report, _, err := Run(t.Context(), c)
			if err != nil || report.Imported != 2 {
				t.Fatalf("after %d calls and a restart: %v, %v", calls, report, err)
			}
			same(t, api)
			if err := w.kv.Purge(t.Context(), "trellis.default"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRun_Replicas: several at once write what one writes.
func TestRun_Replicas(t *testing.T) {
	w := startWadm(t)
	w.fill()
	for range 20 {
		api := newFakeAPI()
		var replicas sync.WaitGroup
		for range 4 {
			replicas.Go(func() {
				if report, _, err := Run(t.Context(), w.config(api, newTold())); err != nil || report.Imported != 2 {
					t.Errorf("a replica: %v, %v", report, err)
				}
			})
		}
		replicas.Wait()
		same(t, api)
		if err := w.kv.Purge(t.Context(), "trellis.default"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRun_Keys: two lattices whose keys are the same text, and a multitenant wadm.
func TestRun_Keys(t *testing.T) {
	w := startWadm(t)
	w.put("a", `["b-c","x-y"]`)
	w.put("a-b", `["c","d"]`)               // the list of lattice a-b; application b of lattice a has no place
	w.put("a-b-c", app("b-c", "v1", "v1"))  // of lattice a; wadm has overwritten application c of a-b
	w.put("a-b-d", app("d", "", "v1"))      // of lattice a-b
	w.put("a-x-y", `["z"]`)                 // the list of lattice a-x-y, where application x-y of a was
	w.put("a-x-y-z", app("z", "", "v1"))    // of lattice a-x-y
	w.put("a-gone", app("gone", "", "v1"))  // not listed: wadm was about to delete it
	w.put("Acc-a", `["e","missing"]`)       // lattice a of account Acc
	w.put("Acc-a-e", app("e", "v1", "v1"))  //
	w.put("solo-app", app("app", "", "v1")) // lattice solo has no list
	for _, c := range []struct {
		account, lattice string
		want, left       []string
	}{
		{"", "a", []string{"home/b-c"}, []string{"x-y"}},
		{"", "a-b", []string{"home/d"}, []string{"c"}},
		{"", "a-x-y", []string{"home/z"}, nil},
		{"Acc", "a", []string{"home/e"}, nil},
		{"", "solo", nil, nil},
		{"", "a-b-c", nil, nil}, // its key is an application
	} {
		t.Run(c.account+" "+c.lattice, func(t *testing.T) {
			api := newFakeAPI()
			config := w.config(api, newTold())
			config.Lattice, config.Account = c.lattice, c.account
			report, _, err := Run(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			var got, left []string
			for name := range api.apps {
				got = append(got, name)
			}
			for _, l := range report.Left {
				left = append(left, l.Name)
			}
			if !slices.Equal(got, c.want) || !slices.Equal(left, c.left) {
				t.Errorf("imported %v, left %v; want %v and %v", got, report.Left, c.want, c.left)
			}
			if c.account == "" && c.lattice == "a" {
				if err := w.kv.Purge(t.Context(), "trellis.a"); err != nil { // the same lattice, by another account
					t.Fatal(err)
				}
			}
		})
	}
}

// TestRun_Left: what can't be brought along is named, and keeps nobody else from coming.
func TestRun_Left(t *testing.T) {
	w, api := startWadm(t), newFakeAPI()
	w.put("default", `["broken-deployed","exists","fine","garbage","half","none-readable","refused","taken","unknown-deployed"]`)
	w.put("default-fine", app("fine", "v1", "v1"))
	w.put("default-half", app("half", "v1", "v1", "v2"))
	w.put("default-exists", app("exists", "v1", "v1"))
	w.put("default-taken", app("taken", "v1", "v1"))
	w.put("default-refused", app("refused", "v1", "v1"))
	w.put("default-garbage", `{"manifests":`)
	w.put("default-none-readable", `{"manifests":{"v1":{"metadata":{"name":"none-readable"}}},"deployed_version":null}`)
	w.put("default-broken-deployed", strings.Replace(app("broken-deployed", "v1", "v1", "v2"), `"kind":"Application",`, "", 1))
	w.put("default-unknown-deployed", app("unknown-deployed", "v9", "v1"))
	for namespace, name := range map[string]string{"team": "exists", "home": "taken"} {
		ours := &oam.Application{}
		ours.Namespace, ours.Name = namespace, name
		ours.Status.Lattice = map[string]string{"exists": "default", "taken": "other"}[name]
		api.apps[key(ours)] = ours
	}
	api.refuse = func(app *oam.Application) error {
		if app.Name == "refused" || app.Name == "half" && app.Annotations[oam.VersionAnnotation] == "v2" {
			return apierrors.NewForbidden(oam.Resource("applications"), app.Name, errors.New("a policy says no"))
		}
		return nil
	}
	report, _, err := Run(t.Context(), w.config(api, newTold()))
	if err != nil || report.Imported != 1 || api.apps["home/fine"] == nil {
		t.Fatalf("%v, %v", report, err)
	}
	for name, why := range map[string]string{
		"exists": "application team/exists has this name already", "taken": "application home/taken has this name already",
		"refused": "a policy says no", "half": "application home/half is incomplete and in no lattice: delete it",
		"garbage": "can't be read", "none-readable": "none of its versions can be read",
		"broken-deployed": `its deployed version "v1" can't be read`, "unknown-deployed": `no manifest of its deployed version "v9"`,
	} {
		if !slices.ContainsFunc(report.Left, func(l Left) bool { return l.Name == name && strings.Contains(l.Why, why) }) {
			t.Errorf("the report does not say %q of %s: %s", why, name, report)
		}
	}
	if api.apps["home/half"].Annotations[oam.WadmImportAnnotation] != oam.WadmImportRunning {
		t.Error("half of an application could enter its lattice")
	}
	if report.LeftTotal != 8 {
		t.Errorf("%d are left", report.LeftTotal)
	}
}

// TestRun_Errors: what may go better next time is an error, and nothing is written down.
func TestRun_Errors(t *testing.T) {
	w, api := startWadm(t), newFakeAPI()
	w.fill()
	c := w.config(api, newTold())
	noHome := errors.New("no namespace is bound")
	c.Home = func(context.Context) (string, error) { return "", noHome }
	if _, _, err := Run(t.Context(), c); !errors.Is(err, noHome) {
		t.Errorf("without a home: %v", err)
	}
	c = w.config(api, newTold())
	api.refuse = func(*oam.Application) error { return apierrors.NewServiceUnavailable("NATS is away") }
	if _, _, err := Run(t.Context(), c); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("without a store: %v", err)
	}
	if report, err := Look(t.Context(), c); report != nil || err != nil {
		t.Errorf("on record is %v, %v", report, err)
	}
}
