package secrets_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/secrets"
)

const repeated = `{"error":"Unauthorized"}`

// The host's key plus a point of low order, and with the bit that X25519 ignores: what was sealed with hostKey can be
// opened with both.
const (
	twinKey    = "XA643OGFLOLLGAJ2AF7ZM5GM24OWTS2UGY7FVQ2ML4JYGEWFEKWRNSJK"
	highBitKey = "XAD2G7F4CQQJHSFXKXOBWEHINS2CMN2K2FVKQU7NBPP4BMVYNUOPYULG"
)

func newSeen(t *testing.T, url string) *secrets.Seen {
	t.Helper()
	seen, err := secrets.NewSeen(connect(t, url), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// TestErrors_Replay: a message that was captured is refused by the server that had it and by another replica.
func TestErrors_Replay(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	var read atomic.Int32
	keeper := keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		read.Add(1)
		return gives(canary)(ctx, q)
	})
	for _, prefix := range []string{"one", "two"} {
		serve(t, url, keeper, func(o *secrets.Options) {
			o.Prefixes, o.Memory = []string{prefix, prefix + ".*.*"}, newSeen(t, url)
		})
	}
	h := newHost(t, url)
	captured := h.sealed(usual(), backendKey)
	if got := h.text(h.send(h.request("one.v1alpha1.kube.get", hostKey, captured))); got != usualReply {
		t.Fatalf("the first time: %s", got)
	}
	for _, key := range []string{hostKey, twinKey, highBitKey} {
		for _, subject := range []string{"one.v1alpha1.kube.get", "two.v1alpha1.kube.get", "two.team-b.hosts.v1alpha1.kube.get"} {
			if got := h.text(h.send(h.request(subject, key, captured))); got != repeated {
				t.Errorf("again on %s with %s: %s", subject, key, got)
			}
		}
	}
	if got := read.Load(); got != 1 {
		t.Errorf("read %d times", got)
	}
	if got := h.get("two.v1alpha1.kube.get", usual()); got != usualReply {
		t.Errorf("the same question, sealed anew: %s", got)
	}
}

// TestErrors_Memory: when it can't be told whether a request is new, nobody reads.
func TestErrors_Memory(t *testing.T) {
	keeper := keeperFunc(func(context.Context, secrets.Question) (secrets.Secret, error) {
		t.Error("the Keeper was asked")
		return secrets.Secret{}, nil
	})
	b := start(t, keeper, func(o *secrets.Options) { o.Memory = &memory{broken: errors.New("no leader")} })
	want := `{"error":{"UpstreamError":"it can't be told whether the request is a repeated one; ask again"}}`
	if got := b.get(plainGet, usual()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := newSeen(t, natsServer(t, &server.Options{})).First(t.Context(), "k"); err == nil {
		t.Error("there is no JetStream and no error")
	}
}

func TestSeen(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	memories := []*secrets.Seen{newSeen(t, url), newSeen(t, url), newSeen(t, url)}
	var first atomic.Int32
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			isFirst, err := memories[i%len(memories)].First(t.Context(), "one")
			if err != nil {
				t.Error(err)
			}
			if isFirst {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if got := first.Load(); got != 1 {
		t.Errorf("%d were told that they are the first", got)
	}
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), secrets.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	status, err := kv.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.TTL() != time.Minute || status.Values() != 1 {
		t.Errorf("the bucket keeps %d values for %s", status.Values(), status.TTL())
	}
	// The bucket is lost with its server, and made again.
	if err := js.DeleteKeyValue(t.Context(), secrets.Bucket); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if got, err := memories[0].First(t.Context(), "two"); got != want || err != nil {
			t.Errorf("with a new bucket: %v, %v", got, err)
		}
	}
}
