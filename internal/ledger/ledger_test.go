package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsd"
)

const testTimeout = 10 * time.Second

func open(t *testing.T, lattice string) *Ledger {
	t.Helper()
	server := natsd.Run(t, natsd.Options{})
	conn, err := nats.Connect(server.ClientURL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(conn.Close)
	l, err := Open(t.Context(), conn, lattice, "")
	if err != nil {
		t.Fatalf("open the ledger: %v", err)
	}
	return l
}

func owner(name, uid string) Owner {
	return Owner{Cluster: "c1", Namespace: "shop", Name: name, UID: uid}
}

func TestClaim(t *testing.T) {
	l, ctx := open(t, "default"), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(l.Claim(ctx, "name", "my_app", owner("my-app", "u1")))
	check(l.Claim(ctx, "name", "my_app", owner("my-app", "u1")))
	check(l.Claim(ctx, "id", "my_app", owner("other", "u2"))) // another kind is another name

	var taken *ClaimedError
	if err := l.Claim(ctx, "name", "my_app", owner("my_app", "u3")); !errors.As(err, &taken) || taken.Owner != owner("my-app", "u1") {
		t.Fatalf("another application got the name: %v", err)
	}
	elsewhere := owner("my-app", "u1")
	elsewhere.Cluster = "c2"
	if err := l.Claim(ctx, "name", "my_app", elsewhere); !errors.As(err, &taken) {
		t.Fatalf("the same application of another cluster got the name: %v", err)
	}

	check(l.Claim(ctx, "name", "my_app", owner("my-app", "u4"))) // deleted and made again
	held, err := l.Holder(ctx, "name", "my_app")
	check(err)
	if held == nil || held.UID != "u4" {
		t.Fatalf("the claim is of %+v, want the new object's", held)
	}
	check(l.Free(ctx, *held))
	check(l.Free(ctx, *held))
	check(l.Claim(ctx, "name", "my_app", owner("my_app", "u3")))

	all, err := l.Claims(ctx, "c1")
	check(err)
	if len(all) != 2 {
		t.Errorf("the cluster has %d claims, want 2: %+v", len(all), all)
	}
}

// A claim that is taken again, by the very same object too, is another one than was read before: whoever meant to free it
// must not.
func TestFree(t *testing.T) {
	l, ctx := open(t, "default"), t.Context()
	for what, again := range map[string]Owner{
		"the same object": owner("my-app", "u1"), "the application made again": owner("my-app", "u2"),
	} {
		t.Run(what, func(t *testing.T) {
			if err := l.Claim(ctx, "id", what, owner("my-app", "u1")); err != nil {
				t.Fatal(err)
			}
			read, err := l.Holder(ctx, "id", what)
			if err != nil || read == nil {
				t.Fatalf("the claim is %+v, %v", read, err)
			}
			if err := l.Claim(ctx, "id", what, again); err != nil {
				t.Fatal(err)
			}
			if err := l.Free(ctx, *read); !errors.Is(err, ErrClaimChanged) {
				t.Errorf("Free of what was written since: %v", err)
			}
			if held, err := l.Holder(ctx, "id", what); err != nil || held == nil || held.UID != again.UID {
				t.Errorf("the claim is %+v, %v", held, err)
			}
		})
	}
}

// What is not of this cluster, or of a format that this release does not know, is not offered to a collector.
func TestClaimsLeaveOut(t *testing.T) {
	l, ctx := open(t, "default"), t.Context()
	other := owner("theirs", "u9")
	other.Cluster = "c2"
	for name, o := range map[string]Owner{"ours": owner("ours", "u1"), "theirs": other} {
		if err := l.Claim(ctx, "name", name, o); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"newer":   `{"cluster":"c1","namespace":"shop","name":"newer","format":2}`,
		"garbage": `{"cluster":`,
	} {
		if _, err := l.kv.Put(ctx, key(claimSpace, "name", name), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Claims(ctx, "c1")
	if err != nil || len(all) != 1 || all[0].Name != "ours" || all[0].Revision == 0 || all[0].Since.IsZero() {
		t.Errorf("the claims of c1 are %+v, %v", all, err)
	}
}

func TestClaimOneWins(t *testing.T) {
	l := open(t, "default")
	const rivals = 16
	errs := make([]error, rivals)
	var wait sync.WaitGroup
	for i := range rivals {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs[i] = l.Claim(t.Context(), "name", "x", owner(fmt.Sprint("app", i), "u"))
		}()
	}
	wait.Wait()
	winners := 0
	for _, err := range errs {
		var taken *ClaimedError
		switch {
		case err == nil:
			winners++
		case !errors.As(err, &taken):
			t.Errorf("a rival got %v", err)
		}
	}
	if winners != 1 {
		t.Errorf("%d applications hold the name", winners)
	}
}

func TestClaimStrangeNames(t *testing.T) {
	l := open(t, "default")
	for i, name := range []string{"", ".", "*", ">", "a.b", "a=2Eb", "ä", "a/b", "a b", "=", "A", "a"} {
		if err := l.Claim(t.Context(), "id", name, owner(fmt.Sprint("app", i), "u")); err != nil {
			t.Errorf("claim %q: %v", name, err)
		}
	}
}

func teardown(id string) Teardown {
	return Teardown{
		Cluster: "c1", ID: id, Lattice: "default", Namespace: "shop", Application: "hello", UID: "u1", Version: "v1",
		Components: []string{"hello-http"}, Providers: []string{"hello-server"}, Configs: []string{"hello-address"},
		Links: []Link{{Source: "hello-server", Target: "hello-http", Name: "default", Namespace: "wasi", Package: "http"}},
	}
}

func TestTeardowns(t *testing.T) {
	l, ctx := open(t, "default"), t.Context()
	for _, id := range []string{"a", "b"} {
		if err := l.PutTeardown(ctx, teardown(id)); err != nil {
			t.Fatal(err)
		}
	}
	foreign := teardown("c")
	foreign.Cluster = "c2"
	if err := l.PutTeardown(ctx, foreign); err != nil {
		t.Fatal(err)
	}
	got, err := l.ListTeardowns(ctx, "c1")
	if err != nil {
		t.Fatal(err)
	}
	want := []Teardown{teardown("a"), teardown("b")}
	for i := range want {
		want[i].Format = FormatVersion
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Teardown{}, "Created")); diff != "" {
		t.Errorf("teardowns: %s", diff)
	}
	for range 2 {
		if err := l.RemoveTeardown(ctx, "c1", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = l.ListTeardowns(ctx, "c1"); err != nil || len(got) != 1 || got[0].ID != "b" {
		t.Errorf("after the removal: %+v, %v", got, err)
	}
}

func TestTeardowns_Errors(t *testing.T) {
	l := open(t, "other")
	if err := l.PutTeardown(t.Context(), teardown("a")); !errors.Is(err, ErrForeignTeardown) {
		t.Errorf("a record of another lattice was taken: %v", err)
	}
	// A bucket that was copied from another lattice stops nothing here.
	if _, err := l.kv.Put(t.Context(), key(teardownSpace, "c1", "x"), []byte(`{"lattice":"default"}`)); err != nil {
		t.Fatal(err)
	}
	if got, err := l.ListTeardowns(t.Context(), "c1"); err != nil || len(got) != 0 {
		t.Errorf("a copied record is listed: %+v, %v", got, err)
	}
}

func TestWatchTeardowns(t *testing.T) {
	l := open(t, "default")
	if err := l.PutTeardown(t.Context(), teardown("a")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan TeardownChange, 100)
	done := l.WatchTeardowns(ctx, "c1", func(c TeardownChange) { changes <- c })
	expect := func(kind ChangeKind, id string) {
		t.Helper()
		select {
		case c := <-changes:
			if c.Kind != kind || c.Teardown.ID != id {
				t.Fatalf("got change %d of %q, want %d of %q", c.Kind, c.Teardown.ID, kind, id)
			}
		case <-time.After(testTimeout):
			t.Fatalf("no change %d of %q", kind, id)
		}
	}
	expect(Reset, "")
	expect(Put, "a")
	expect(Synced, "")
	if err := l.PutTeardown(t.Context(), teardown("b")); err != nil {
		t.Fatal(err)
	}
	expect(Put, "b")
	if err := l.RemoveTeardown(t.Context(), "c1", "a"); err != nil {
		t.Fatal(err)
	}
	expect(Delete, "a")
	cancel()
	<-done
}

func TestHome(t *testing.T) {
	l, ctx := open(t, "default"), t.Context()
	none, err := l.Home(ctx, "c1")
	if err != nil || none != (Home{}) {
		t.Fatalf("a new ledger has a home: %+v, %v", none, err)
	}
	if err := l.SetHome(ctx, "c1", Home{Namespace: "shop", UID: "n1"}); err != nil {
		t.Fatal(err)
	}
	if err := l.SetHome(ctx, "c1", Home{Namespace: "late", UID: "n2"}); !errors.Is(err, ErrHomeChanged) {
		t.Errorf("a second first home was recorded: %v", err)
	}
	now, err := l.Home(ctx, "c1")
	if err != nil || now.Namespace != "shop" {
		t.Fatalf("home is %+v, %v", now, err)
	}
	now.Namespace = "new"
	if err := l.SetHome(ctx, "c1", now); err != nil {
		t.Fatal(err)
	}
	if other, err := l.Home(ctx, "c2"); err != nil || other.Namespace != "" {
		t.Errorf("another cluster has a home: %+v, %v", other, err)
	}
}

func FuzzKey(f *testing.F) {
	for _, seed := range []string{"", "a", "a.b", "=", "=2E", "ä>*", "A_b-9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parts, err := parseKey(claimSpace, key(claimSpace, text, "x"), 2)
		if err != nil || parts[0] != text {
			t.Errorf("%q became %q: %v", text, parts, err)
		}
		if decoded, err := decodeToken(text); err == nil && key("s", decoded) != "s."+text {
			t.Errorf("token %q is not canonical", text)
		}
	})
}
