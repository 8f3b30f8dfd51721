package wasmhost_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const secretsTopic = "wasmcloud.secrets"

// backend answers as a backend of secrets does. It keeps what it was asked.
type backend struct {
	t    testing.TB
	conn *nats.Conn

	mu       sync.Mutex
	pair     nkeys.KeyPair
	values   map[string]string // of what a reply seals, by key
	errors   map[string]string // replies in clear, by key
	keyAsked int
	asked    []question
	keysUsed []string
}

type question struct {
	Key            string
	Field, Version *string
	Context        struct {
		EntityJWT   string `json:"entity_jwt"`
		HostJWT     string `json:"host_jwt"`
		Application struct {
			Name   *string
			Policy string
		}
	}
}

// newBackend answers for the backend "kube".
func newBackend(t testing.TB, conn *nats.Conn) *backend {
	t.Helper()
	b := &backend{t: t, conn: conn, values: map[string]string{}, errors: map[string]string{}}
	b.renew()
	b.on("kube.server_xkey", b.answerKey)
	b.on("kube.get", b.answer)
	return b
}

// renew gives the backend another key, as a restart may.
func (b *backend) renew() {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pair = pair
}

func (b *backend) on(operation string, answer nats.MsgHandler) {
	b.t.Helper()
	s, err := b.conn.Subscribe(secretsTopic+".v1alpha1."+operation, answer)
	if err == nil {
		err = b.conn.Flush()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = s.Unsubscribe() })
}

// set makes the secret of a key the JSON of a reply's member "secret".
func (b *backend) set(key, secret string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.values[key] = `{"secret":` + secret + `}`
}

func text(value string) string {
	quoted, _ := json.Marshal(value) // a string can always be
	return `{"version":"1","string_secret":` + string(quoted) + `,"binary_secret":null}`
}

func (b *backend) questions() []question {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]question{}, b.asked...)
}

func (b *backend) answerKey(m *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keyAsked++
	public, err := b.pair.PublicKey()
	if err != nil || len(m.Data)+len(m.Header) > 0 {
		b.t.Errorf("asked for the key with %q and %v: %v", m.Data, m.Header, err)
	}
	_ = m.Respond([]byte(public))
}

func (b *backend) answer(m *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	host := m.Header.Get("WasmCloud-Host-Xkey")
	body, err := b.pair.Open(m.Data, host)
	if err != nil {
		_ = m.Respond([]byte(`{"error":"DecryptionError"}`))
		return
	}
	var q question
	if err := json.Unmarshal(body, &q); err != nil {
		b.t.Errorf("%s: %v", body, err)
	}
	b.asked, b.keysUsed = append(b.asked, q), append(b.keysUsed, host)
	if refusal, ok := b.errors[q.Key]; ok {
		_ = m.Respond([]byte(refusal))
		return
	}
	value, ok := b.values[q.Key]
	if !ok {
		_ = m.Respond([]byte(`{"error":"SecretNotFound"}`))
		return
	}
	_ = m.RespondMsg(b.seal(value, host))
}

// seal answers with a pair of keys of its own for each reply.
func (b *backend) seal(value, host string) *nats.Msg {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		b.t.Error(err)
		return &nats.Msg{}
	}
	public, err1 := pair.PublicKey()
	sealed, err2 := pair.Seal([]byte(value), host)
	if err1 != nil || err2 != nil {
		b.t.Error(err1, err2)
	}
	return &nats.Msg{Data: sealed, Header: nats.Header{"Server-Response-Xkey": {public}}}
}
