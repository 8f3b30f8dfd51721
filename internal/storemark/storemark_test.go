package storemark

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// fakeStore is a replica of a store.
type fakeStore struct {
	there    Mark
	served   Mark
	changed  error
	accepted []Mark
}

func (f *fakeStore) Served() Mark                        { return f.served }
func (f *fakeStore) Changed() error                      { return f.changed }
func (f *fakeStore) Alarm() <-chan struct{}              { return nil }
func (f *fakeStore) Found(context.Context) (Mark, error) { return f.there, nil }
func (f *fakeStore) Verify(context.Context) error        { return f.changed }
func (f *fakeStore) AcceptOnly(m Mark)                   { f.accepted = append(f.accepted, m); f.accept(m) }
func (f *fakeStore) Recheck(context.Context) (bool, error) {
	if f.there.Identity != f.served.Identity || f.there.Revision < f.served.Revision {
		return false, nil
	}
	f.changed = nil
	return true, nil
}

func (f *fakeStore) accept(m Mark) {
	if m.Identity == "" || m.Identity == f.there.Identity && m.Revision <= f.there.Revision {
		f.served, f.changed = f.there, nil
	}
}

// lose replaces the store.
func (f *fakeStore) lose(there Mark) {
	f.there, f.changed = there, errors.New("StoreChanged: another store")
}

func replica(t *testing.T, shelf Shelf, s *fakeStore) *Keeper {
	t.Helper()
	k, expect, err := Open(t.Context(), Config{Shelf: shelf, Grace: -1})
	if err != nil {
		t.Fatal(err)
	}
	k.Attach(s)
	s.served = s.there
	if expect != nil && expect.Identity != "" && (expect.Identity != s.there.Identity || expect.Revision > s.there.Revision) {
		s.served = *expect
		s.changed = errors.New("StoreChanged: expected another")
	}
	look(t, k)
	return k
}

func look(t *testing.T, k *Keeper) {
	t.Helper()
	if err := k.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, shelf Shelf) Record {
	t.Helper()
	r, _, err := shelf.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shelves(t *testing.T) map[string]Shelf {
	return map[string]Shelf{
		"file":      &File{Path: filepath.Join(t.TempDir(), "marks", "store.json")},
		"configmap": &ConfigMap{Client: fake.NewClientset().CoreV1().ConfigMaps("ops")},
	}
}

func TestKeeper_UpwardOnly(t *testing.T) {
	for name, shelf := range shelves(t) {
		t.Run(name, func(t *testing.T) {
			a, b := &fakeStore{there: Mark{"one", 7}}, &fakeStore{there: Mark{"one", 5}}
			ka := replica(t, shelf, a)
			b.there.Revision = 9
			kb := replica(t, shelf, b)
			b.served.Revision, a.served.Revision = 4, 12
			look(t, kb)
			look(t, ka)
			look(t, kb)
			if got, want := load(t, shelf), (Record{Served: Mark{"one", 12}}); got != want {
				t.Errorf("the record is %+v, want %+v", got, want)
			}
			if !ka.Settled() || !kb.Settled() {
				t.Error("a replica of the right store is not settled")
			}
		})
	}
}

// TestKeeper_Accept: every replica stops at another store, says so on record, and goes on after accept without a restart;
// so does a replica that had not noticed, and one that starts meanwhile.
func TestKeeper_Accept(t *testing.T) {
	for name, shelf := range shelves(t) {
		t.Run(name, func(t *testing.T) {
			a, b := &fakeStore{there: Mark{"one", 7}}, &fakeStore{there: Mark{"one", 7}}
			ka, kb := replica(t, shelf, a), replica(t, shelf, b)
			if before, after, err := Accept(t.Context(), shelf); err != nil || before != after {
				t.Errorf("accept without a problem: %+v, %+v, %v", before, after, err)
			}
			a.lose(Mark{"two", 3})
			b.there = Mark{"two", 3} // has not noticed
			look(t, ka)
			if r := load(t, shelf); r.Problem == "" || r.Found != (Mark{"two", 3}) || r.Served != (Mark{"one", 7}) {
				t.Errorf("the record is %+v", r)
			}
			late := &fakeStore{there: Mark{"two", 3}}
			kc := replica(t, shelf, late)
			for i, k := range []*Keeper{ka, kc} {
				if k.Settled() {
					t.Errorf("replica %d is settled on another store", i)
				}
			}
			if _, after, err := Accept(t.Context(), shelf); err != nil || after.Served != (Mark{"two", 3}) || after.Generation != 1 {
				t.Fatalf("accept: %+v, %v", after, err)
			}
			for i, k := range []*Keeper{ka, kb, kc} {
				look(t, k)
				if !k.Settled() {
					t.Errorf("replica %d is not settled after accept", i)
				}
			}
			if r := load(t, shelf); r != (Record{Served: Mark{"two", 3}, Generation: 1}) {
				t.Errorf("the record is %+v", r)
			}
			for i, s := range []*fakeStore{a, b, late} {
				if len(s.accepted) != 1 {
					t.Errorf("replica %d accepted %v", i, s.accepted)
				}
			}
		})
	}
}

// TestKeeper_AcceptNothing: an empty place is accepted; revisions of before stay used.
func TestKeeper_AcceptNothing(t *testing.T) {
	shelf := &File{Path: filepath.Join(t.TempDir(), "store.json")}
	s := &fakeStore{there: Mark{"one", 7}}
	k := replica(t, shelf, s)
	s.lose(Mark{})
	look(t, k)
	if _, after, err := Accept(t.Context(), shelf); err != nil || after.Served != (Mark{"", 7}) {
		t.Fatalf("accept: %+v, %v", after, err)
	}
	s.there = Mark{"two", 1 << 40} // made by whoever accepts
	look(t, k)
	look(t, k)
	if r := load(t, shelf); r.Served != (Mark{"two", 1 << 40}) || !k.Settled() {
		t.Errorf("the record is %+v, settled %v", r, k.Settled())
	}
}

// TestKeeper_ComesBack: with the right store back, nobody has to accept anything.
func TestKeeper_ComesBack(t *testing.T) {
	shelf := &File{Path: filepath.Join(t.TempDir(), "store.json")}
	s := &fakeStore{there: Mark{"one", 7}}
	k := replica(t, shelf, s)
	s.lose(Mark{"two", 3})
	look(t, k)
	s.there = Mark{"one", 8}
	look(t, k)
	if r := load(t, shelf); r.Problem != "" || !k.Settled() {
		t.Errorf("the record is %+v, settled %v", r, k.Settled())
	}
}

// TestKeeper_RecordLost: a running replica puts the record back, and one that starts without it waits for that.
func TestKeeper_RecordLost(t *testing.T) {
	client := fake.NewClientset().CoreV1().ConfigMaps("ops")
	shelf := &ConfigMap{Client: client}
	running := &fakeStore{there: Mark{"one", 7}}
	kr := replica(t, shelf, running)
	if err := client.Delete(t.Context(), ConfigMapName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	fresh, expect, err := Open(t.Context(), Config{Shelf: shelf, Grace: time.Hour})
	if err != nil || expect != nil {
		t.Fatalf("open without a record: %v, %v", expect, err)
	}
	other := &fakeStore{there: Mark{"two", 3}, served: Mark{"two", 3}}
	fresh.Attach(other)
	look(t, fresh)
	if fresh.Settled() {
		t.Error("a replica that knows nothing is settled before the others could speak")
	}
	running.lose(Mark{"two", 3})
	look(t, kr)
	if r := load(t, shelf); r.Served != (Mark{"one", 7}) || r.Problem == "" {
		t.Errorf("the running replica put back %+v", r)
	}
	look(t, fresh)
	if fresh.Settled() || len(other.accepted) != 1 || other.accepted[0] != (Mark{"one", 7}) {
		t.Errorf("the fresh replica serves another store than that on record; it accepted %v", other.accepted)
	}
}

func TestKeeper_WaitsUntilCaughtUp(t *testing.T) {
	shelf := &File{Path: filepath.Join(t.TempDir(), "store.json")}
	var behind error = errors.New("not yet")
	k, _, err := Open(t.Context(), Config{Shelf: shelf, Grace: -1, CaughtUp: func(context.Context) error { return behind }})
	if err != nil {
		t.Fatal(err)
	}
	k.Attach(&fakeStore{there: Mark{"one", 7}, served: Mark{"one", 7}})
	if err := k.Look(t.Context()); err == nil || k.Settled() {
		t.Errorf("settled while behind: %v, %v", k.Settled(), err)
	}
	behind = nil
	look(t, k)
	if !k.Settled() {
		t.Error("not settled although caught up")
	}
}

func TestShelf_Conflict(t *testing.T) {
	for name, shelf := range shelves(t) {
		t.Run(name, func(t *testing.T) {
			if _, _, err := shelf.Load(t.Context()); !errors.Is(err, ErrNone) {
				t.Fatalf("an empty shelf: %v", err)
			}
			first := Record{Served: Mark{"one", 1}}
			if err := shelf.Save(t.Context(), first, ""); err != nil {
				t.Fatal(err)
			}
			if err := shelf.Save(t.Context(), first, ""); !errors.Is(err, ErrConflict) {
				t.Errorf("a second first one: %v", err)
			}
			if name == "configmap" {
				return // the fake client does not compare versions
			}
			_, version, _ := shelf.Load(t.Context())
			if err := shelf.Save(t.Context(), Record{Served: Mark{"one", 2}}, version); err != nil {
				t.Fatal(err)
			}
			if err := shelf.Save(t.Context(), first, version); !errors.Is(err, ErrConflict) {
				t.Errorf("an old version: %v", err)
			}
		})
	}
}

func TestParse_Errors(t *testing.T) {
	good := Record{Served: Mark{"one", 7}, Generation: 2, Problem: "p", Found: Mark{"two", 3}}
	if got, err := Parse(good.Data()); err != nil || got != good {
		t.Errorf("read back %+v, %v", got, err)
	}
	for name, tc := range map[string]struct{ key, value, says string }{
		"later format": {keyFormat, "2", "format"},
		"no revision":  {keyRevision, "", "revision"},
		"negative":     {keyGeneration, "-1", "generation"},
		"found":        {keyFoundRevision, "x", "foundRevision"},
	} {
		t.Run(name, func(t *testing.T) {
			data := good.Data()
			data[tc.key] = tc.value
			if _, err := Parse(data); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
