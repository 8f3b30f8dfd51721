package natskeys_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// nobody keeps all secrets to itself.
type nobody struct{}

func (nobody) Secret(context.Context, secrets.Question) (secrets.Secret, error) {
	return secrets.Secret{}, errors.New("no secret is given")
}
func (nobody) First(context.Context, string) (bool, error) { return true, nil }
func (nobody) Decided(secrets.Decision)                    {}

// serveSecrets runs the backend of secrets as the operator does.
func (w *system) serveSecrets() (key string) {
	t := w.t
	t.Helper()
	pair, err := nkeys.CreateCurveKeys()
	w.must(err)
	seed, err := pair.Seed()
	w.must(err)
	public, err := pair.PublicKey()
	w.must(err)
	ring, err := secrets.NewKeyring(secrets.Key{Seed: seed})
	w.must(err)
	server, err := secrets.New(secrets.Options{Conn: w.operator, Lattice: "default", Keyring: ring,
		Keeper: nobody{}, Memory: nobody{}, Auditor: nobody{}, Burst: 10_000})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the backend ended with: %v", err)
		}
	})
	w.eventually("the backend is ready", server.Ready)
	return public
}

const (
	keyOfA    = "wasmcloud.secrets.team-a.hosts_eu.v1alpha1.kube.server_xkey"
	getOfA    = "wasmcloud.secrets.team-a.hosts_eu.v1alpha1.kube.get"
	keyOfB    = "wasmcloud.secrets.team-b.hosts.v1alpha1.kube.server_xkey"
	getOfB    = "wasmcloud.secrets.team-b.hosts.v1alpha1.kube.get"
	stopHostB = "wasmbus.ctl.v1.default.host.stop.NOFB"
)

// TestGroupsApart: a group asks for secrets below its own prefix; it neither asks below another's, nor without a group, nor
// hears what another asks, and it commands nobody.
func TestGroupsApart(t *testing.T) {
	w := newSystem(t)
	public := w.serveSecrets()
	a, b := w.join(groupOf("team-a", "hosts.eu", nil)), w.join(groupOf("team-b", "hosts", nil))

	for conn, own := range map[*nats.Conn]string{a: keyOfA, b: keyOfB} {
		w.eventually("an answer on "+own, func() bool {
			answer, err := conn.Request(own, nil, time.Second)
			return err == nil && string(answer.Data) == public
		})
	}
	if answer, err := a.Request(getOfA, []byte("x"), 5*time.Second); err != nil || !strings.Contains(string(answer.Data), "InvalidHeaders") {
		t.Errorf("a request without headers: %v, %v", answer, err)
	}
	heard := w.listen(w.operator, "wasmcloud.>", "")
	commands := w.listen(b, "wasmbus.ctl.>", "")
	w.settle(b)
	w.must(w.operator.Publish(stopHostB, nil))
	w.eventually("the operator's command", func() bool { return len(commands) > 0 })
	<-commands
	w.known(a)
	for _, subject := range []string{
		keyOfB, getOfB, "wasmcloud.secrets.v1alpha1.kube.get", "wasmcloud.secrets.v1alpha1.kube.server_xkey",
		"wasmcloud.secrets.team-a.hosts.v1alpha1.kube.get", "wasmcloud.secrets.team-a.hosts_eu.v1alpha1.kube.other", getOfA + ".x",
		stopHostB, "wasmbus.ctl.v1.default.host.ping", "wasmbus.ctl.v1.default.config.put.x",
		"wadm.api.default.model.list", "orders.new",
	} {
		// The leaf takes the message, and has nobody to give it to.
		if answer, err := a.Request(subject, []byte("{}"), 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v, %v; want that nobody answers", subject, answer, err)
		}
	}
	w.settle(a)
	if len(heard) > 0 {
		t.Errorf("the operator heard %s", (<-heard).Subject)
	}
	w.settle(b)
	if len(commands) > 0 {
		t.Errorf("a host of another group heard %s", (<-commands).Subject)
	}
}

// TestGroupsApart_Listening: whatever a group listens to, it hears no request for secrets, and takes none away by joining
// the queue of those who answer.
func TestGroupsApart_Listening(t *testing.T) {
	w := newSystem(t)
	public := w.serveSecrets()
	a, b := w.join(groupOf("team-a", "hosts.eu", nil)), w.join(groupOf("team-b", "hosts", nil))
	var ears []<-chan *nats.Msg
	for _, subject := range []string{">", "wasmcloud.>", "wasmcloud.secrets.>", "wasmcloud.secrets.*.*.v1alpha1.kube.>", "*.*.*.*.*.*.*",
		keyOfB, getOfB, "vault.secrets.v1alpha1.vault.get", "*.*.v1alpha1.*.*"} {
		ears = append(ears, w.listen(a, subject, ""), w.listen(a, subject, "wasmcloud.secrets.kube"))
	}
	w.settle(a)
	for range 50 {
		if answer, err := b.Request(keyOfB, nil, 5*time.Second); err != nil || string(answer.Data) != public {
			t.Fatalf("answer = %v, %v", answer, err)
		}
	}
	w.must(w.operator.Publish("vault.secrets.v1alpha1.vault.get", nil)) // of another backend
	w.must(w.operator.Publish("wasmbus.rpc.default.the.end", nil))
	w.eventually("what a host may hear", func() bool {
		for len(ears[0]) > 0 {
			if m := <-ears[0]; m.Subject == "wasmbus.rpc.default.the.end" {
				return true
			} else if strings.Contains(m.Subject, "v1alpha1") {
				t.Errorf("heard %s", m.Subject)
			}
		}
		return false
	})
	for _, ear := range ears {
		for len(ear) > 0 {
			if m := <-ear; strings.Contains(m.Subject, "v1alpha1") {
				t.Errorf("heard %s by %s", m.Subject, m.Sub.Subject)
			}
		}
	}
}

// TestGroupsApart_OtherBackends: a group that names a prefix asks there, whatever the backend is called, and nowhere else.
func TestGroupsApart_OtherBackends(t *testing.T) {
	w := newSystem(t)
	public := w.serveSecrets()
	prefix := func(prefix string) func(*v1alpha1.WasmCloudHostConfigSpec) {
		return func(s *v1alpha1.WasmCloudHostConfigSpec) { s.SecretsTopicPrefix = prefix }
	}
	_, err := w.operator.Subscribe("vault.secrets.v1alpha1.hashi.>", func(m *nats.Msg) { _ = m.Respond([]byte("hashi")) })
	w.must(err)
	vault := w.join(groupOf("team-a", "vault", prefix("vault.secrets")))
	w.eventually("the other backend answers", func() bool {
		answer, err := vault.Request("vault.secrets.v1alpha1.hashi.server_xkey", nil, time.Second)
		return err == nil && string(answer.Data) == "hashi"
	})
	plain := w.join(groupOf("team-a", "plain", prefix("wasmcloud.secrets")))
	w.eventually("the backend answers those whom it does not know", func() bool {
		answer, err := plain.Request("wasmcloud.secrets.v1alpha1.kube.server_xkey", nil, time.Second)
		return err == nil && string(answer.Data) == public
	})
	for _, subject := range []string{keyOfB, "wasmcloud.secrets.v1alpha1.hosts.v1alpha1.kube.server_xkey"} { // a namespace called v1alpha1
		if answer, err := plain.Request(subject, nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v, %v; want that nobody answers", subject, answer, err)
		}
	}
}
