package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/proxy"
)

const shortTimeout = 500 * time.Millisecond

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", testTimeout, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// behindProxy opens a store through a proxy, with short timeouts.
func behindProxy(t testing.TB, serverURL string) (*proxy.Proxy, *objects) {
	t.Helper()
	p := proxy.New(t, serverURL)
	s := openStore(t, p.URL(), func(c *Config) { c.Timeout = shortTimeout })
	return p, s.newObjects(podResource())
}

// direct opens a store on a server.
func direct(t testing.TB, serverURL string) *objects {
	t.Helper()
	return openStore(t, serverURL, nil).newObjects(podResource())
}

func create(ctx context.Context, o storage.Interface, namespace, name string) (*example.Pod, error) {
	pod, out := makePod(namespace, name), &example.Pod{}
	return out, o.Create(ctx, podKey(pod), pod, out, 0)
}

func mustCreate(t testing.TB, o storage.Interface, namespace, name string) *example.Pod {
	t.Helper()
	out, err := create(context.Background(), o, namespace, name)
	if err != nil {
		t.Fatalf("create %s/%s: %v", namespace, name, err)
	}
	return out
}

// TestLostAcknowledgement: the server stores a write and its answer does not arrive.
func TestLostAcknowledgement(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	p, o := behindProxy(t, server.ClientURL())
	other := direct(t, server.ClientURL())

	p.MuteServer.Store(true)
	type result struct {
		pod *example.Pod
		err error
	}
	done := make(chan result, 1)
	go func() {
		pod, err := create(context.Background(), o, "ns", "lost")
		done <- result{pod, err}
	}()
	stored := &example.Pod{}
	eventually(t, "the write reaches the server", func() bool {
		return other.Get(context.Background(), "/pods/ns/lost", storage.GetOptions{}, stored) == nil
	})
	p.Cut()
	p.Restore()
	got := <-done
	if got.err != nil {
		t.Fatalf("the write was stored, but its outcome is %v", got.err)
	}
	if got.pod.ResourceVersion != stored.ResourceVersion {
		t.Errorf("the write has revision %s, stored is %s", got.pod.ResourceVersion, stored.ResourceVersion)
	}
}

// TestLostPublish: a write does not arrive. Nobody can know that, so the answer is 504, unless another write settles it.
func TestLostPublish(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	p, o := behindProxy(t, server.ClientURL())
	other := direct(t, server.ClientURL())
	lose := func(name string, meanwhile func()) error {
		p.MuteClient.Store(true)
		before := o.store.cfg.Conn.Stats().OutBytes
		done := make(chan error, 1)
		go func() {
			_, err := create(context.Background(), o, "ns", name)
			done <- err
		}()
		eventually(t, "the write is sent", func() bool { return o.store.cfg.Conn.Stats().OutBytes > before+200 })
		meanwhile()
		time.AfterFunc(shortTimeout/2, func() { p.Cut(); p.Restore() })
		return <-done
	}

	err := lose("unknown", func() {})
	if !errors.Is(err, ErrUnknownOutcome) || apierrors.ReasonForError(err) != "Timeout" {
		t.Errorf("the outcome of a lost write is %v", err)
	}
	if err := other.Get(context.Background(), "/pods/ns/unknown", storage.GetOptions{}, &example.Pod{}); !storage.IsNotFound(err) {
		t.Errorf("a lost write was stored: %v", err)
	}
	err = lose("settled", func() { mustCreate(t, other, "ns", "settled") })
	if !storage.IsExist(err) {
		t.Errorf("a lost write that another one overtook is %v", err)
	}
}

// TestRefusal: a server of a replicated stream refuses a publish. It may be a deposed leader, while the real one stores
// the publish; what is in the stream decides.
func TestRefusal(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := openStore(t, server.ClientURL(), func(c *Config) { c.Timeout = shortTimeout }).newObjects(podResource())
	o.store.replicated.Store(true)
	refusal := &nats.Msg{Data: []byte(`{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}`)}
	for name, test := range map[string]struct {
		before []string // message ids of what is in the stream before the refusal is read
		after  []string // and of what comes later
		want   error
	}{
		"stored":                      {before: []string{"own"}},
		"stored, and another upon it": {before: []string{"own", "other"}},
		"stored later":                {after: []string{"own"}},
		"overtaken":                   {before: []string{"other"}, want: errLostRace},
		"overtaken later":             {after: []string{"other"}, want: errLostRace},
		"nothing":                     {want: ErrUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := o.key(podKey(makePod("ns", name)), false)
			if err != nil {
				t.Fatal(err)
			}
			p := put{tail: k.tail, key: k.index, id: "own-" + name}
			stored := func(ids []string) {
				for _, id := range ids {
					msg := &nats.Msg{Subject: o.store.head() + k.tail, Header: objectHeader(0, false, time.Time{})}
					msg.Header.Set(nats.MsgIdHdr, id+"-"+name)
					if err := o.store.cfg.Conn.PublishMsg(msg); err != nil {
						t.Error(err)
					}
				}
			}
			stored(test.before)
			time.AfterFunc(resolveFor/4, func() { stored(test.after) })
			revision, err := o.store.acknowledged(t.Context(), p, refusal)
			if !errors.Is(err, test.want) {
				t.Fatalf("the outcome is %v, want %v", err, test.want)
			}
			if test.want != nil {
				return
			}
			var found *version // the answer may come by the leader, before the index has the message
			eventually(t, "the index has the write", func() bool {
				found = o.store.index.find(k.index, func(v *version) bool { return v.id == p.id })
				return found != nil
			})
			if found.seq != revision {
				t.Errorf("the revision is %d, stored is %d", revision, found.seq)
			}
		})
	}
}

// TestServerRestarts: writers and a watch go through restarts of a server with file storage.
func TestServerRestarts(t *testing.T) {
	dir := t.TempDir()
	server, err := natsd.Start(natsd.Options{StoreDir: dir, Port: natsd.RandomPort, SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(address.Port())
	o := openStore(t, server.ClientURL(), func(c *Config) { c.Memory = false }).newObjects(podResource())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	watched, stopWatch := context.WithCancel(context.Background())
	defer stopWatch()
	w, err := o.Watch(watched, "/pods/", storage.ListOptions{ResourceVersion: "1", Predicate: storage.Everything, Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	const writers = 4
	var wait sync.WaitGroup
	acknowledged := make([][]string, writers)
	for i := range writers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			acknowledged[i] = writeUntil(ctx, t, o, fmt.Sprintf("writer-%d", i))
		}()
	}
	for range 3 {
		before := o.store.Served().Revision
		eventually(t, "writes go on", func() bool { return o.store.Served().Revision > before+20 })
		server.Shutdown()
		if server, err = natsd.Start(natsd.Options{StoreDir: dir, Port: port, SyncAlways: true}); err != nil {
			t.Fatal(err)
		}
	}
	before := o.store.Served().Revision
	eventually(t, "writes go on", func() bool { return o.store.Served().Revision > before+20 })
	stop()
	wait.Wait()
	defer server.Shutdown()
	checkDelivered(t, o, w, acknowledged, stopWatch)
}

// writeUntil updates one object until the context ends and returns the acknowledged revisions.
func writeUntil(ctx context.Context, t *testing.T, o *objects, name string) []string {
	var out []string
	for n := 0; ctx.Err() == nil; n++ {
		pod := &example.Pod{}
		err := o.GuaranteedUpdate(ctx, "/pods/ns/"+name, pod, true, nil, storage.SimpleUpdate(
			func(obj runtime.Object) (runtime.Object, error) {
				changed := obj.(*example.Pod).DeepCopy()
				changed.Namespace, changed.Name, changed.Labels = "ns", name, map[string]string{"n": strconv.Itoa(n)}
				return changed, nil
			}), nil)
		switch {
		case err == nil:
			out = append(out, pod.ResourceVersion)
		case ctx.Err() == nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnknownOutcome):
			t.Errorf("an update failed with %v", err)
			return out
		}
	}
	return out
}

// checkDelivered compares a watch with acknowledged writes: every one was delivered, in order, once.
func checkDelivered(t *testing.T, o *objects, w watch.Interface, acknowledged [][]string, stopWatch func()) {
	t.Helper()
	end := mustCreate(t, o, "ns", "the-end").ResourceVersion
	seen := map[string]bool{}
	var last uint64
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			t.Fatalf("the watch failed: %v", event.Object)
		}
		revision, err := o.versioner.ObjectResourceVersion(event.Object)
		if err != nil || revision <= last {
			t.Fatalf("revision %d after %d: %v", revision, last, err)
		}
		last = revision
		seen[strconv.FormatUint(revision, 10)] = true
		if seen[end] {
			stopWatch()
			break
		}
	}
	count := 0
	for _, revisions := range acknowledged {
		for _, revision := range revisions {
			if !seen[revision] {
				t.Errorf("revision %s was acknowledged and not delivered", revision)
			}
			count++
		}
	}
	if count < 60 {
		t.Errorf("only %d writes were tested", count)
	}
}

// TestNoLateWrites: what failed while NATS was away does not arrive afterwards.
func TestNoLateWrites(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	p, o := behindProxy(t, server.ClientURL())
	p.Refuse.Store(true)
	p.Cut()
	eventually(t, "the connection is gone", func() bool { return !o.store.link.connected() })
	for i := range 20 {
		_, err := create(context.Background(), o, "ns", fmt.Sprint("late-", i))
		checkUnavailable(t, err)
	}
	p.Restore()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	eventually(t, "writes work again", func() bool {
		_, err := create(ctx, o, "ns", "sentinel")
		return err == nil
	})
	list := &example.PodList{}
	if err := o.GetList(ctx, "/pods/", storage.ListOptions{Predicate: storage.Everything, Recursive: true}, list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 {
		t.Errorf("%d objects arrived, want the sentinel alone", len(list.Items))
	}
}

// checkUnavailable wants the error that an API server answers with 503 and Retry-After.
func checkUnavailable(t *testing.T, err error) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.Is(err, ErrUnavailable) || !errors.As(err, &status) {
		t.Fatalf("the error is %v, want ErrUnavailable with a status", err)
	}
	if s := status.Status(); s.Code != http.StatusServiceUnavailable || s.Details.RetryAfterSeconds < 1 {
		t.Errorf("the status is %+v", s)
	}
}

// TestConsumerLost: the consumer is deleted under the store again and again; a watch misses and repeats nothing.
func TestConsumerLost(t *testing.T) {
	o := newStore(t, nil).newObjects(podResource())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	w, err := o.Watch(ctx, "/pods/", storage.ListOptions{ResourceVersion: "1", Predicate: storage.Everything, Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	const rounds, perRound = 4, 10
	for round := range rounds {
		for name := range consumers(t, o.store) {
			// The store removes one that it has replaced itself.
			if err := o.store.js.DeleteConsumer(ctx, o.store.cfg.Stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				t.Fatal(err)
			}
		}
		for i := range perRound {
			mustCreate(t, o, fmt.Sprint("ns", round), fmt.Sprint("p", i))
		}
	}
	var last uint64
	for n := range rounds * perRound {
		select {
		case event := <-w.ResultChan():
			revision, err := o.versioner.ObjectResourceVersion(event.Object)
			if err != nil || event.Type != watch.Added || revision <= last {
				t.Fatalf("event %d is %s of revision %d after %d: %v", n, event.Type, revision, last, err)
			}
			last = revision
		case <-time.After(testTimeout):
			t.Fatalf("only %d of %d events came", n, rounds*perRound)
		}
	}
}

func consumers(t *testing.T, s *Store) map[string]bool {
	t.Helper()
	stream, err := s.js.Stream(context.Background(), s.cfg.Stream)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for name := range stream.ConsumerNames(context.Background()).Name() {
		out[name] = true
	}
	return out
}
