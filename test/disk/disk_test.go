package disk

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatACutLeaves: what was synced is there after a cut, what was not is gone.
func TestWhatACutLeaves(t *testing.T) {
	dir, d := mounted(t)
	// Written before this cut; after it, only what the names say.
	write(t, filepath.Join(dir, "synced"), "kept", (*os.File).Sync)
	write(t, filepath.Join(dir, "unsynced"), "gone", nil)
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a/b/synced"), "kept with its folders", (*os.File).Sync)
	write(t, filepath.Join(dir, "old"), "1", (*os.File).Sync)
	write(t, filepath.Join(dir, "new"), "2", (*os.File).Sync)
	rename(t, filepath.Join(dir, "new"), filepath.Join(dir, "old"))
	appended, err := os.OpenFile(filepath.Join(dir, "synced"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appended.WriteString(" and lost"); err != nil {
		t.Fatal(err)
	}
	appended.Close()

	if lost := cut(t, d, nil); lost != len("gone")+len(" and lost") {
		t.Errorf("%d bytes were lost", lost)
	}
	expect(t, dir, map[string]string{"synced": "kept", "unsynced": "", "a/b/synced": "kept with its folders", "old": "1", "new": "2"})

	// A folder that is synced has its names; a file written with O_SYNC needs no more.
	rename(t, filepath.Join(dir, "new"), filepath.Join(dir, "old"))
	if err := os.Remove(filepath.Join(dir, "synced")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "empty"), "content without sync", nil)
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Sync(); err != nil {
		t.Fatal(err)
	}
	folder.Close()
	f, err := os.OpenFile(filepath.Join(dir, "direct"), os.O_CREATE|os.O_WRONLY|os.O_SYNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("synced by the write"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	cut(t, d, nil)
	expect(t, dir, map[string]string{"old": "2", "new": "", "synced": "", "empty": "", "direct": "synced by the write"})
	if _, err := os.Stat(filepath.Join(dir, "empty")); err != nil {
		t.Errorf("the name of an unsynced file in a synced folder: %v", err)
	}
}

// TestAWarmCut: some of what was not synced survives, in order.
func TestAWarmCut(t *testing.T) {
	dir, d := mounted(t)
	chance := rand.New(rand.NewPCG(1, 1))
	sizes := map[int]bool{}
	path := filepath.Join(dir, "f")
	for range 20 {
		write(t, path, "0", (*os.File).Sync)
		write(t, path, "0123456789", nil)
		cut(t, d, chance)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != "0123456789"[:len(got)] {
			t.Fatalf("the file has %q: %v", got, err)
		}
		sizes[len(got)] = true
	}
	if len(sizes) < 3 {
		t.Errorf("20 warm cuts have left the sizes %v", sizes)
	}
}

func mounted(t *testing.T) (string, *Disk) {
	t.Helper()
	dir := t.TempDir()
	d, err := Mount(dir, 0)
	if err != nil {
		t.Logf("NOT RUN: %v", err)
		if os.Getenv("CI") == "true" {
			t.Fatal("not run, and CI=true demands it")
		}
		t.SkipNow()
	}
	t.Cleanup(func() {
		if err := d.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir, d
}

func cut(t *testing.T, d *Disk, chance *rand.Rand) int {
	t.Helper()
	d.Cut()
	d.LetGo()
	lost, err := d.Restore(chance)
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

func write(t *testing.T, path, content string, sync func(*os.File) error) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if sync != nil {
		if err := sync(f); err != nil {
			t.Fatal(err)
		}
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// expect compares files; "" is one that is empty or not there.
func expect(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) || string(got) != content {
			t.Errorf("%s has %q, want %q: %v", name, got, content, err)
		}
	}
}
