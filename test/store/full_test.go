package store

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/store"
)

const mib = 1 << 20

// smallDisk mounts a disk of a size, and unmounts it with the test.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("trellis-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		cannot(t, "a full disk needs the right to mount a tmpfs", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the disk: %v", err)
		}
	})
	return dir
}

// large is the content of objects that fill a disk soon.
var large = bytes.Repeat([]byte{'x'}, 100<<10)

// fill writes until a write fails, to as many objects, and returns the number of successes and the failure.
func fill(t *testing.T, r *replica, over int) (n int, err error) {
	t.Helper()
	for ; n < 1000; n++ {
		w := write{id: fmt.Sprint("fill-", n), name: fmt.Sprint("filler-", n%over)}
		if err := update(t.Context(), r, &w, large); err != nil {
			return n, err
		}
	}
	t.Fatal("the disk is never full")
	return 0, nil
}

// checkFull wants the answer of a full store: at once, with a status that says what to do.
func checkFull(t *testing.T, err error, took time.Duration) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.Is(err, store.ErrFull) || !errors.As(err, &status) || status.Status().Code != http.StatusInsufficientStorage {
		t.Errorf("the answer of a full store is %v, want ErrFull with status 507", err)
	}
	if took > time.Second {
		t.Errorf("a full store took %s to say so", took)
	}
}

// checkReads wants reads and watches to go on.
func checkReads(t *testing.T, r *replica, objects int) {
	t.Helper()
	out := &example.PodList{}
	if err := r.pods.GetList(t.Context(), "/pods/", everything(""), out); err != nil || len(out.Items) != objects {
		t.Errorf("a consistent list has %d objects, want %d: %v", len(out.Items), objects, err)
	}
	if err := r.pods.Get(t.Context(), keyOf("filler-0"), storage.GetOptions{}, &example.Pod{}); err != nil {
		t.Errorf("a consistent read: %v", err)
	}
	if err := r.store.Changed(); err != nil {
		t.Error(err)
	}
}

// TestLimit: NATS refuses at its limit (by default three quarters of the disk), long before the disk is full. Writes and
// deletions are answered 507, reads go on, and a higher limit brings writes back without loss.
func TestLimit(t *testing.T) {
	s := newServer(t, natsd.Options{SyncAlways: true, StoreDir: smallDisk(t, 12*mib)})
	s.start()
	r := openReplica(t, s.url(), nil)
	n, err := fill(t, r, 1000)
	checkFull(t, err, 0)
	began := time.Now()
	checkFull(t, update(t.Context(), r, &write{id: "more", name: "more"}, nil), time.Since(began))
	checkFull(t, remove(t.Context(), r, &write{name: "filler-0"}), time.Since(began))
	checkReads(t, r, n)

	s.stop()
	s.options.MaxFile = 11 * mib
	s.start()
	eventually(t, "writes succeed under a higher limit", func() bool {
		return update(t.Context(), r, &write{id: "later", name: "later"}, nil) == nil
	})
	checkReads(t, r, n+1)
	report(t, "%d MiB of disk took %d objects of 100 KiB; then 507: %v", 12, n, err)
}

// TestLimitOfHistory: a store that is full of history makes room by itself.
func TestLimitOfHistory(t *testing.T) {
	s := newServer(t, natsd.Options{SyncAlways: true, MaxFile: 4 * mib})
	s.start()
	r := openReplica(t, s.url(), func(c *store.Config) { c.History, c.CompactEvery = time.Second, 500*time.Millisecond })
	eventually(t, "the reserve is written", func() bool { // it is the second message, after the origin
		current, err := r.store.Current(t.Context())
		return err == nil && current >= 2
	})
	n, err := fill(t, r, 3)
	checkFull(t, err, 0)
	began := time.Now()
	eventually(t, "a compaction makes room", func() bool {
		return update(t.Context(), r, &write{id: "later", name: "later"}, nil) == nil
	})
	report(t, "full after %d updates of 3 objects; writes succeeded again %s later, with 1 s of history", n, time.Since(began).Round(time.Millisecond))
	checkReads(t, r, 4)
}

// TestDiskFull: somebody else fills the disk of NATS, below its limit. NATS then says nothing to a writer, and stores
// nothing before a restart; the answer is 504 with what to do. Reads go on, and nothing that was acknowledged is lost.
func TestDiskFull(t *testing.T) {
	s := newServer(t, natsd.Options{SyncAlways: true, StoreDir: smallDisk(t, 12*mib), MaxFile: 1000 * mib})
	s.start()
	r := openReplica(t, s.url(), func(c *store.Config) { c.Timeout = 2 * time.Second })
	other := filepath.Join(s.options.StoreDir, "other")
	if err := os.WriteFile(other, make([]byte, 8*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := fill(t, r, 1000)
	var status apierrors.APIStatus
	if !errors.Is(err, store.ErrUnknownOutcome) || !errors.As(err, &status) || status.Status().Code != http.StatusGatewayTimeout {
		t.Errorf("the answer on a full disk is %v, want ErrUnknownOutcome with status 504", err)
	}
	checkReads(t, r, n)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if err := update(t.Context(), r, &write{id: "room", name: "room"}, nil); err == nil {
		t.Error("NATS stores again without a restart: docs/spec/store.md says that it does not")
	}
	s.stop()
	s.start()
	eventually(t, "writes succeed after the restart", func() bool {
		return update(t.Context(), r, &write{id: "later", name: "later"}, nil) == nil
	})
	// The two of unknown outcome may have landed.
	out := &example.PodList{}
	if err := r.pods.GetList(t.Context(), "/pods/", everything(""), out); err != nil || len(out.Items) < n+1 || len(out.Items) > n+3 {
		t.Errorf("after the restart there are %d objects, want %d to %d: %v", len(out.Items), n+1, n+3, err)
	}
	report(t, "%d writes fitted beside the other file, then: %v; %d objects are there after the restart", n, err, len(out.Items))
}
