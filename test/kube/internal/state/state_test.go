package state

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type thing struct{ Name string }

func TestSaveLoad(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := Save(dir, "things", "one", thing{"first"}); err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, "things", "one", thing{"second"}); err != nil {
		t.Fatal(err)
	}
	got, found, err := Load[thing](dir, "things", "one")
	if err != nil || !found || got != (thing{"second"}) {
		t.Errorf("Load: got %v, %v, %v", got, found, err)
	}
	names, err := Names(dir, "things")
	if diff := cmp.Diff([]string{"one"}, names); diff != "" || err != nil {
		t.Errorf("Names: %v %s", err, diff)
	}
	for range 2 { // the second finds nothing, which is fine
		if err := Forget(dir, "things", "one"); err != nil {
			t.Error(err)
		}
	}
	if _, found, _ := Load[thing](dir, "things", "one"); found {
		t.Error("a forgotten record is still found")
	}
}

func TestLoad_CutShort(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := Save(dir, "things", "one", thing{"first"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Path("records", "things", "one.json"), []byte(`{"Name":"fi`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, found, err := Load[thing](dir, "things", "one")
	if err != nil || found || got != (thing{}) {
		t.Errorf("got %v, %v, %v; want nothing", got, found, err)
	}
}

func TestNames_NoFolder(t *testing.T) {
	names, err := Names(Dir(t.TempDir()), "things")
	if err != nil || len(names) != 0 {
		t.Errorf("got %v, %v", names, err)
	}
}
