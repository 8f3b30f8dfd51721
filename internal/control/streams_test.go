package control_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsd"
)

// lines is a list of texts that several goroutines write and read.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprintf(format, args...))
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (l *lines) wait(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cmp.Equal(want, l.get()) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s (-want +got):\n%s", cmp.Diff(want, l.get()))
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestEvents(t *testing.T) {
	port := freePort(t)
	server := natsd.Run(t, natsd.Options{Port: port})
	url := server.ClientURL()
	c := newClient(t, url, control.Options{})
	host := connect(t, url)
	ctx, stop := context.WithCancel(t.Context())
	var seen lines
	done, err := c.Events(ctx, func(e lattice.Event) {
		switch data := e.Data.(type) {
		case lattice.ConfigSet:
			seen.add("%s set %s", e.Host[:2], data.ConfigName)
		default:
			seen.add("%s %s", e.Host[:2], e.Kind())
		}
	}, func(err error) { seen.add("gap %v", errors.Is(err, control.ErrGap)) })
	if err != nil {
		t.Fatal(err)
	}
	publish := func(data lattice.EventData) {
		t.Helper()
		body, err := lattice.EncodeEvent(lattice.Event{ID: "1", Host: hostA, Time: time.Now(), Data: data})
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the event is published", func() bool {
			return host.Publish("wasmbus.evt.default.x", body) == nil && host.Flush() == nil
		})
	}
	publish(lattice.ConfigSet{ConfigName: "c"})
	if err := host.Publish("wasmbus.evt.default.y", []byte("{")); err != nil {
		t.Fatal(err)
	}
	publish(lattice.UnknownEvent{Kind: "news", Raw: []byte("{}")})
	seen.wait(t, "NA set c", "NA news")

	server.Shutdown()
	seen.wait(t, "NA set c", "NA news", "gap false")
	natsd.Run(t, natsd.Options{Port: port})
	seen.wait(t, "NA set c", "NA news", "gap false", "gap true")
	// The server may take an event of one client before the subscription of another that is back as well.
	waitFor(t, "events arrive again", func() bool {
		publish(lattice.HostStopped{})
		return slices.Contains(seen.get(), "NA host_stopped")
	})
	stop()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the stream did not end with its context")
	}
}

func TestWatchLattice(t *testing.T) {
	url := natsd.Run(t, natsd.Options{Domain: "hub"}).ClientURL()
	js, err := jetstream.NewWithDomain(connect(t, url), "hub")
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, url, control.Options{Domain: "hub"})
	ctx, stop := context.WithCancel(t.Context())
	var seen lines
	done := c.WatchLattice(ctx, func(ch lattice.SpecChange) {
		seen.add("%d %s %s", ch.Kind, ch.Name, ch.Value.URL)
	})
	// The bucket did not exist: the watch made it.
	seen.wait(t, "1  ", "4  ")
	kv, err := js.KeyValue(ctx, "LATTICEDATA_default")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range [][2]string{
		{"COMPONENT_a", `{"url":"u","links":[]}`}, {"CLAIMS_M", `{}`}, {"LINKDEF_x", `{}`},
		{"COMPONENT_bad", `{"url":7}`}, {"COMPONENT_b", `{"url":"v"}`},
	} {
		if _, err := kv.PutString(ctx, entry[0], entry[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := kv.Purge(ctx, "COMPONENT_a"); err != nil {
		t.Fatal(err)
	}
	seen.wait(t, "1  ", "4  ", "2 a u", "3 bad ", "2 b v", "3 a ")
	stop()
	<-done
	var again lines
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	c.WatchLattice(ctx, func(ch lattice.SpecChange) { again.add("%d %s %s", ch.Kind, ch.Name, ch.Value.URL) })
	again.wait(t, "1  ", "3 bad ", "2 b v", "3 a ", "4  ")
}

// TestWatchConfig_Replaced: a bucket that is deleted and made again begins anew, with a reset.
func TestWatchConfig_Replaced(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "CONFIGDATA_default", Storage: jetstream.MemoryStorage})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "old", `{"k":"1"}`); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, url, control.Options{BucketCheck: 50 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var seen lines
	c.WatchConfig(ctx, func(ch lattice.ConfigChange) { seen.add("%d %s %s", ch.Kind, ch.Name, ch.Value["k"]) })
	seen.wait(t, "1  ", "2 old 1", "4  ")
	if err := js.DeleteKeyValue(ctx, "CONFIGDATA_default"); err != nil {
		t.Fatal(err)
	}
	kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "CONFIGDATA_default"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(ctx, "new", `{"k":"2"}`); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(40 * time.Second)
	for !slices.Contains(seen.get(), "2 new 2") || seen.get()[len(seen.get())-1] != "4  " {
		if time.Now().After(deadline) {
			t.Fatalf("the new bucket was never seen: %q", seen.get())
		}
		<-time.After(50 * time.Millisecond)
	}
	if got := seen.get(); !slices.Contains(got[3:], "1  ") {
		t.Errorf("no reset before the new content: %q", got)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
