package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/store"
)

// collecting is a world whose collector is moved by hand.
type collecting struct {
	*world
	clock *testclock.FakeClock
	c     *collector
}

func startCollecting(t *testing.T) *collecting {
	t.Helper()
	w := start(t)
	w.servesStore()
	return w.collecting(testclock.NewFakeClock(time.Now()))
}

// servesStore waits until the store was read: before that no look counts.
func (w *world) servesStore() {
	w.t.Helper()
	w.eventually("the store is served", func() error {
		if w.server.collector.store() == "" {
			return errors.New("not read yet")
		}
		return nil
	})
}

// collecting is the world as one of its replicas sees it.
func (w *world) collecting(clock *testclock.FakeClock) *collecting {
	c := *w.server.collector
	c.clock = clock
	list := c.list
	c.list = func(ctx context.Context) (all *v1beta1.ApplicationList, err error) {
		// A look whose list fails does not count, which a test that counts looks can't have.
		w.eventually("the list of applications", func() error { all, err = list(ctx); return err })
		return all, err
	}
	return &collecting{w, clock, &c}
}

// after looks once, some time after the last look.
func (c *collecting) after(pause time.Duration) {
	c.clock.Step(pause)
	c.c.look(c.t.Context())
}

func (c *collecting) wantClaims(want ...string) {
	c.t.Helper()
	slices.Sort(want)
	if got := c.claims.keys(); !slices.Equal(got, want) {
		c.t.Errorf("the claims are %v, want %v", got, want)
	}
}

// identified is an application whose first component has an explicit id, unless it is empty.
func identified(name, id string) *unstructured.Unstructured {
	app := hello(name)
	if id != "" {
		components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
		_ = unstructured.SetNestedField(components[0].(map[string]any), id, "properties", "id")
		_ = unstructured.SetNestedSlice(app.Object, components, "spec", "components")
	}
	return app
}

// atRest says what the orchestrator would when everything is as the application wants.
func (c *collecting) atRest(name, deployedVersion string) {
	c.t.Helper()
	app := must(c.apps("team-a").Get(c.t.Context(), name, metav1.GetOptions{}))(c.t)
	patch := fmt.Sprintf(`{"status":{"phase":"Deployed","observedGeneration":%d,"deployedVersion":%q}}`, app.GetGeneration(), deployedVersion)
	must(c.apps("team-a").Patch(c.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status"))(c.t)
}

func (c *collecting) update(name, id string, annotations map[string]string) *unstructured.Unstructured {
	c.t.Helper()
	app := must(c.apps("team-a").Get(c.t.Context(), name, metav1.GetOptions{}))(c.t)
	app.Object["spec"] = identified(name, id).Object["spec"]
	app.SetAnnotations(annotations)
	return must(c.apps("team-a").Update(c.t.Context(), app, metav1.UpdateOptions{}))(c.t)
}

func TestCollectDeleted(t *testing.T) {
	c := startCollecting(t)
	must(c.apps("team-a").Create(t.Context(), identified("gone", "my-id"), metav1.CreateOptions{}))(t)
	must(c.apps("team-a").Create(t.Context(), identified("alive", "id-2"), metav1.CreateOptions{}))(t)
	alive := []string{"default/name/alive", "default/id/id-2"}
	all := append([]string{"default/name/gone", "default/id/my-id"}, alive...)
	c.after(0)
	c.after(time.Hour)
	c.wantClaims(all...)

	if err := c.apps("team-a").Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.claims.torn = []types.NamespacedName{{Namespace: "team-a", Name: "gone"}}
	c.after(time.Hour)
	c.after(time.Hour)
	c.wantClaims(all...) // what it left still runs
	c.claims.torn = nil
	c.after(5 * time.Minute)
	c.after(9 * time.Minute)
	c.wantClaims(all...)
	c.after(time.Minute)
	c.wantClaims(alive...)
}

func TestCollectIDs(t *testing.T) {
	const name, id = "default/name/hello", "default/id/my-id"
	tests := map[string]struct {
		annotations     map[string]string
		deployedVersion string
		busy            bool
		want            []string
	}{
		"no version that may run has it": {deployedVersion: "v2", want: []string{name}},
		"it may still be on a host":      {deployedVersion: "v2", busy: true, want: []string{name, id}},
		"the version before still runs":  {deployedVersion: "v1", want: []string{name, id}},
		"the version is pinned": {
			annotations:     map[string]string{v1beta1.DeployedVersionAnnotation: "v1"},
			deployedVersion: "v2", want: []string{name, id},
		},
		"an unknown version is pinned": {
			annotations:     map[string]string{v1beta1.DeployedVersionAnnotation: "v9"},
			deployedVersion: "v2", want: []string{name},
		},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			c := startCollecting(t)
			app := identified("hello", "my-id")
			app.SetAnnotations(map[string]string{"version": "v1"})
			must(c.apps("team-a").Create(t.Context(), app, metav1.CreateOptions{}))(t)
			annotations := map[string]string{"version": "v2"}
			for key, value := range tt.annotations {
				annotations[key] = value
			}
			c.update("hello", "", annotations)
			c.atRest("hello", tt.deployedVersion)
			if tt.busy {
				c.update("hello", "", map[string]string{"version": "v3"}) // nobody has looked at this one
			}
			c.after(0)
			c.after(collectPause)
			c.wantClaims(tt.want...)
		})
	}
}

// What wash deployed runs again when somebody's pin goes, and so its ids stay.
func TestCollectKeepsWhatWashDeployed(t *testing.T) {
	c := startCollecting(t)
	app := identified("hello", "my-id")
	app.SetAnnotations(map[string]string{"version": "v1"})
	must(c.apps("team-a").Create(t.Context(), app, metav1.CreateOptions{}))(t)
	put := must(c.apps("team-a").Get(t.Context(), "hello", metav1.GetOptions{}))(t)
	put.Object["spec"] = identified("hello", "").Object["spec"]
	put.SetAnnotations(map[string]string{"version": "v2", v1beta1.WashDeployedVersionAnnotation: "v1"})
	must(c.wash("default").Resource(applicationsGVR).Namespace("team-a").Update(t.Context(), put, metav1.UpdateOptions{}))(t)
	c.atRest("hello", "v2")
	c.after(0)
	c.after(collectPause)
	c.wantClaims("default/name/hello", "default/id/my-id")
}

func TestCollectMoved(t *testing.T) {
	c := startCollecting(t)
	app := must(c.apps("team-a").Create(t.Context(), identified("hello", "my-id"), metav1.CreateOptions{}))(t)
	setLattice(app, "other")
	must(c.apps("team-a").Update(t.Context(), app, metav1.UpdateOptions{}))(t)
	c.wantClaims("default/name/hello", "default/id/my-id", "other/name/hello", "other/id/my-id")
	c.after(0)
	c.after(collectPause)
	c.wantClaims("other/name/hello", "other/id/my-id")
}

// An application that is made again while its names wait to be freed keeps them, also when it goes once more.
func TestCollectMadeAgain(t *testing.T) {
	c := startCollecting(t)
	remake := func() {
		t.Helper()
		must(c.apps("team-a").Create(t.Context(), identified("hello", "my-id"), metav1.CreateOptions{}))(t)
		if err := c.apps("team-a").Delete(t.Context(), "hello", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	remake()
	c.after(0)
	c.after(9 * time.Minute)
	remake()
	c.after(time.Minute)
	c.wantClaims("default/name/hello", "default/id/my-id") // the first look at these
	c.after(9 * time.Minute)
	c.wantClaims("default/name/hello", "default/id/my-id")
	c.after(time.Minute)
	c.wantClaims()
}

// A write takes its claims before it is stored: a look that falls between the two frees nothing, whoever held them.
func TestCollectDuringAWrite(t *testing.T) {
	for what, uid := range map[string]types.UID{"the same object": "u1", "made again": "u2"} {
		t.Run(what, func(t *testing.T) {
			c := startCollecting(t)
			take := func(uid types.UID) {
				t.Helper()
				err := c.claims.Claim(t.Context(), "default", Claim{ClaimID, "my-id"}, Owner{Namespace: "team-a", Name: "hello", UID: uid})
				if err != nil {
					t.Fatal(err)
				}
			}
			take("u1")
			c.after(0)
			list := c.c.list
			c.c.list = func(ctx context.Context) (*v1beta1.ApplicationList, error) {
				take(uid) // after the claims were read
				return list(ctx)
			}
			c.after(collectPause)
			c.wantClaims("default/id/my-id")
			c.c.list = list
			c.after(collectPause)
			c.wantClaims("default/id/my-id") // the first look at what was taken
			c.after(collectPause)
			c.wantClaims()
		})
	}
}

// Replicas collect at once: all have looked, one frees, and the others take nothing from who came next.
func TestCollectByReplicas(t *testing.T) {
	c := startCollecting(t)
	other := c.collecting(c.clock)
	claim := Claim{ClaimName, "hello"}
	if err := c.claims.Claim(t.Context(), "default", claim, Owner{Namespace: "team-a", Name: "hello"}); err != nil {
		t.Fatal(err)
	}
	c.after(0)
	other.after(0)
	// The other one reads, and then comes too late.
	unneeded := other.c.list
	other.c.list = func(ctx context.Context) (*v1beta1.ApplicationList, error) {
		c.after(0)
		c.wantClaims()
		must(c.apps("team-b").Create(ctx, hello("hello"), metav1.CreateOptions{}))(t)
		return unneeded(ctx)
	}
	other.after(collectPause)
	c.wantClaims("default/name/hello")
	if holder := c.claims.held["default/name/hello"]; holder.Namespace != "team-b" {
		t.Errorf("the name is held by %v", holder)
	}
}

// Looks at another store do not count, nor does one before it.
func TestCollectStoreChanged(t *testing.T) {
	c := startCollecting(t)
	if err := c.claims.Claim(t.Context(), "default", Claim{ClaimName, "hello"}, Owner{Namespace: "team-a", Name: "hello"}); err != nil {
		t.Fatal(err)
	}
	c.after(0)
	mark := c.store.Served()
	c.store.AcceptOnly(store.Mark{Identity: "another", Revision: 1})
	c.eventually("the store has changed", func() error {
		if c.store.Changed() == nil {
			return errors.New("not noticed yet")
		}
		return nil
	})
	for range 3 {
		c.after(collectPause)
		c.wantClaims("default/name/hello")
	}
	c.store.AcceptOnly(mark)
	c.servesStore()
	c.after(collectPause)
	c.wantClaims("default/name/hello") // begins anew
	c.after(collectPause)
	c.wantClaims()
}

// A store that is not settled, though it has not changed, counts no more than one that has.
func TestCollectUnsettled(t *testing.T) {
	c := startCollecting(t)
	if err := c.claims.Claim(t.Context(), "default", Claim{ClaimName, "hello"}, Owner{Namespace: "team-a", Name: "hello"}); err != nil {
		t.Fatal(err)
	}
	served, identity := c.c.store, ""
	c.c.store = func() string { return identity }
	c.after(0)
	c.after(collectPause)
	c.wantClaims("default/name/hello")
	identity = served()
	c.after(collectPause)
	identity = "replaced"
	c.after(collectPause)
	c.wantClaims("default/name/hello")
	list := c.c.list
	c.c.list = func(ctx context.Context) (*v1beta1.ApplicationList, error) {
		identity = "replaced while it was read"
		return list(ctx)
	}
	c.after(collectPause)
	c.wantClaims("default/name/hello")
}

// What can't be read frees nothing.
func TestCollect_Errors(t *testing.T) {
	down := errors.New("NATS is away")
	for what, fail := range map[string]func(c *collecting){
		"the claims": func(c *collecting) { c.claims.down = down },
		"the applications": func(c *collecting) {
			c.c.list = func(context.Context) (*v1beta1.ApplicationList, error) { return nil, down }
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := startCollecting(t)
			if err := c.claims.Claim(t.Context(), "default", Claim{ClaimName, "hello"}, Owner{Namespace: "team-a", Name: "hello"}); err != nil {
				t.Fatal(err)
			}
			list := c.c.list
			c.after(0)
			fail(c)
			c.after(collectPause)
			c.wantClaims("default/name/hello")
			c.claims.down, c.c.list = nil, list
			c.after(0)
			c.wantClaims("default/name/hello") // begins anew
			c.after(collectPause)
			c.wantClaims()
		})
	}
}

// A version that runs again takes its ids again, or is refused where somebody else has them by now.
func TestVersionTakesItsIDsAgain(t *testing.T) {
	c := startCollecting(t)
	app := identified("hello", "my-id")
	app.SetAnnotations(map[string]string{"version": "v1"})
	must(c.apps("team-a").Create(t.Context(), app, metav1.CreateOptions{}))(t)
	c.update("hello", "", map[string]string{"version": "v2"})
	c.atRest("hello", "v2")
	c.after(0)
	c.after(collectPause)
	c.wantClaims("default/name/hello")

	pin := func() error {
		_, err := c.apps("team-a").Patch(t.Context(), "hello", types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"`+v1beta1.DeployedVersionAnnotation+`":"v1"}}}`), metav1.PatchOptions{})
		return err
	}
	must(c.apps("team-b").Create(t.Context(), identified("thief", "my-id"), metav1.CreateOptions{}))(t)
	err := pin()
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `metadata.annotations[k8s.wasmcloud.dev/deployed-version]: Invalid value: "v1": `+
		`the id "my-id" of this version is in use by application "thief" in namespace "team-b"`) {
		t.Errorf("a version whose id is somebody else's: %v", err)
	}
	if err := c.apps("team-b").Delete(t.Context(), "thief", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.after(0)
	c.after(collectPause)
	if err := pin(); err != nil {
		t.Fatal(err)
	}
	c.wantClaims("default/name/hello", "default/id/my-id")
}
