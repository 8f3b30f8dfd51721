package natskeys_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natskeys"
	"github.com/trellis-operator/trellis/internal/secrets"
)

var names = natskeys.Names{Domain: "default", SecretsPrefix: secrets.DefaultPrefix, SecretsBackend: secrets.DefaultBackend, GroupPrefix: secrets.GroupPrefix}

// groupOf is a host group of lattice default, as it comes from the API server.
func groupOf(namespace, name string, change func(*v1alpha1.WasmCloudHostConfigSpec)) *v1alpha1.WasmCloudHostConfig {
	group := &v1alpha1.WasmCloudHostConfig{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.WasmCloudHostConfigSpec{Lattice: "default", Version: "1.9.2", JetstreamDomain: "default", LeafNodeDomain: "leaf"}}
	if change != nil {
		change(&group.Spec)
	}
	return group
}

// system is the hub of the chart, the operator within lattice default, and leaves of host groups.
type system struct {
	t            *testing.T
	client, leaf string
	dir          string // the operator's credentials folder
	credentials  string // the operator's, for the lattice
	issuer       *natskeys.Issuer
	operator     *nats.Conn
}

func newSystem(t *testing.T) *system {
	t.Helper()
	var keys natskeys.System
	complete(t, &keys, "default")
	return systemOf(t, &keys)
}

func systemOf(t *testing.T, keys *natskeys.System) *system {
	t.Helper()
	w := &system{t: t, dir: t.TempDir()}
	w.client, w.leaf = hub(t, keys)
	for name, content := range keys.Operator {
		write(t, filepath.Join(w.dir, name), content)
	}
	w.issuer = natskeys.NewIssuer(w.dir, names)
	w.credentials = filepath.Join(w.dir, natskeys.CredentialsFile("lattice.default"))
	w.operator = w.connect(w.client, nats.UserCredentials(w.credentials))
	w.makeBuckets()
	return w
}

// makeBuckets is what the operator does for every lattice that it looks after.
func (w *system) makeBuckets() {
	w.t.Helper()
	client, err := control.New(w.operator, "default", control.Options{Domain: "default", BucketCheck: 100 * time.Millisecond})
	w.must(err)
	client.WatchLattice(w.t.Context(), func(lattice.SpecChange) {})
	client.WatchConfig(w.t.Context(), func(lattice.ConfigChange) {})
	for _, bucket := range []string{"LATTICEDATA_default", "CONFIGDATA_default"} {
		w.eventually("bucket "+bucket, func() bool {
			_, err := w.stream().KeyValue(w.t.Context(), bucket)
			return err == nil
		})
	}
}

// stream is the operator's JetStream.
func (w *system) stream() jetstream.JetStream { return w.jetStream(w.operator, "default") }

func (w *system) jetStream(conn *nats.Conn, domain string) jetstream.JetStream {
	w.t.Helper()
	js, err := jetstream.NewWithDomain(conn, domain)
	w.must(err)
	return js
}

func (w *system) issue(group *v1alpha1.WasmCloudHostConfig) []byte {
	w.t.Helper()
	creds, err := w.issuer.Issue(group)
	w.must(err)
	return creds
}

// join runs a leaf of the group and returns a connection such as a host has, once the hub answers.
func (w *system) join(group *v1alpha1.WasmCloudHostConfig) *nats.Conn {
	w.t.Helper()
	return w.behind(w.issue(group))
}

func (w *system) behind(creds []byte) *nats.Conn {
	w.t.Helper()
	conn := w.connect("nats://" + runLeaf(w.t, w.leaf, creds))
	w.eventually("the leaf reaches the hub", func() bool {
		_, err := conn.Request("$JS.default.API.STREAM.INFO.KV_LATTICEDATA_default", nil, time.Second)
		return err == nil
	})
	return conn
}

func (w *system) connect(url string, options ...nats.Option) *nats.Conn {
	w.t.Helper()
	conn, err := nats.Connect(url, options...)
	w.must(err)
	w.t.Cleanup(conn.Close)
	return conn
}

// listen collects what a connection receives on a subject, once the hub knows of it.
func (w *system) listen(conn *nats.Conn, subject, queue string) <-chan *nats.Msg {
	w.t.Helper()
	messages := make(chan *nats.Msg, 1000)
	var err error
	if queue == "" {
		_, err = conn.ChanSubscribe(subject, messages)
	} else {
		_, err = conn.ChanQueueSubscribe(subject, queue, messages)
	}
	w.must(err)
	w.must(conn.Flush())
	return messages
}

func (w *system) next(messages <-chan *nats.Msg, what string) *nats.Msg {
	w.t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(20 * time.Second):
		w.t.Fatalf("not within 20 s: %s", what)
		return nil
	}
}

// known waits until a leaf knows of all that is listened to at the hub: it is told in order.
func (w *system) known(leaf *nats.Conn) {
	w.t.Helper()
	subject := "wasmbus.evt.default." + nats.NewInbox()
	heard := w.listen(w.operator, subject, "")
	w.eventually("the leaf hears of the hub's subscriptions", func() bool {
		w.must(leaf.Publish(subject, nil))
		w.must(leaf.Flush())
		return len(heard) > 0
	})
}

// settle waits until all that was sent before by way of a leaf has reached the hub and came back: messages of one connection
// keep their order.
func (w *system) settle(conn *nats.Conn) {
	w.t.Helper()
	w.eventually("an answer of the hub", func() bool {
		_, err := conn.Request("$JS.default.API.STREAM.INFO.KV_LATTICEDATA_default", nil, time.Second)
		return err == nil
	})
	w.must(w.operator.Flush())
}

func (w *system) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *system) eventually(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within 20 s: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
