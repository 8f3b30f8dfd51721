package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
)

// outcome is what the answer to a write promises.
type outcome int

const (
	acknowledged outcome = iota
	refused              // nothing was written
	unknown
)

// write is one create, update or delete that a client tried.
type write struct {
	id       string // in the label of what it writes
	name     string // of the object
	deletes  bool
	base     string // the write that it saw last, empty for none
	revision uint64 // when acknowledged
	outcome  outcome
	began    time.Time
	ended    time.Time
	err      error
}

func (w write) String() string {
	return fmt.Sprintf("write %s of %s (deletes: %t, on %q, revision %d, %v)", w.id, w.name, w.deletes, w.base, w.revision, w.err)
}

// event is a change as a watch shows it, and as the stream holds it.
type event struct {
	revision uint64
	name     string
	kind     watch.EventType
	id       string // of the write; for a deletion, of the write that made the last state
}

// list is an answer to a consistent list.
type list struct {
	replica  int
	revision uint64
	items    map[string]event // by name
	began    time.Time
	ended    time.Time
}

// reporter is what the checks need of a *testing.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// readTruth returns what the stream holds from its beginning up to a revision, read by a replica that knows nothing yet.
func readTruth(t *testing.T, url string, upTo uint64) []event {
	t.Helper()
	fresh := openReplica(t, url, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := fresh.pods.Watch(ctx, "/pods/", everything("1"))
	if err != nil {
		t.Fatalf("read the history: %v", err)
	}
	defer w.Stop()
	var all []event
	for e := range w.ResultChan() {
		got, err := seen(e)
		if err != nil {
			t.Fatalf("read the history: %v", err)
		}
		all = append(all, got)
		if got.revision >= upTo {
			return all
		}
	}
	t.Fatalf("the history ends before revision %d", upTo)
	return nil
}

// seen reads an event of a watch.
func seen(e watch.Event) (event, error) {
	pod, ok := e.Object.(*example.Pod)
	if !ok || e.Type == watch.Error {
		return event{}, fmt.Errorf("the watch failed: %s %+v", e.Type, e.Object)
	}
	return event{revision: revisionOf(pod), name: pod.Name, kind: e.Type, id: writeOf(pod)}, nil
}
