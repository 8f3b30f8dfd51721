package wasmhost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// tellingEngine runs components that answer with their configuration and the secret that the path names. A request for
// a path that ends in /slow says so on begun, and answers after something came on goOn.
type tellingEngine struct{ begun, goOn chan struct{} }

func (e tellingEngine) Load(context.Context, []byte) (wasmhost.Component, error) { return e, nil }
func (e tellingEngine) Close()                                                   {}

type told struct {
	Config map[string]string
	Secret any
	Found  bool
}

func (e tellingEngine) Serve(w http.ResponseWriter, r *http.Request, call wasmhost.Call) {
	defer call.Done(nil)
	name, slow := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/slow")
	if slow {
		e.begun <- struct{}{}
		<-e.goOn
	}
	answer := told{Config: call.Config()}
	answer.Secret, answer.Found = call.Secret(name)
	if b, ok := answer.Secret.([]byte); ok {
		answer.Secret = fmt.Sprint(b)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// vault is a world with a backend of secrets and a host that knows it.
type vault struct {
	*world
	backend *backend
	engine  tellingEngine
}

func newVault(t *testing.T, change func(*wasmhost.Config)) *vault {
	t.Helper()
	e := tellingEngine{make(chan struct{}), make(chan struct{})}
	w := newWorld(t, func(c *wasmhost.Config) {
		c.Engine, c.SecretsTopic = e, secretsTopic
		if change != nil {
			change(c)
		}
	})
	return &vault{world: w, backend: newBackend(t, w.conn), engine: e}
}

// refer stores a reference to a secret of a backend and returns its name.
func (v *vault) refer(name, backend, key string) string {
	v.t.Helper()
	reference := lattice.Config{"name": name, "type": "secret.wasmcloud.dev/v1alpha1", "backend": backend, "key": key,
		"policy": `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"namespace":"team-a"}}`}
	v.must(v.client.PutConfig(v.t.Context(), "SECRET_app-"+key, reference))
	return "SECRET_app-" + key
}

// signed writes a component that somebody signed.
func signed(t *testing.T, who string) string {
	t.Helper()
	account, module := sign.Seeds(who)
	code, err := sign.Component([]byte("\x00asm\x0d\x00\x01\x00"), sign.Options{Account: account, Module: module, Name: "shop of " + who, Version: "1.0.0", Revision: 7})
	if err != nil {
		t.Fatal(err)
	}
	return written(t, code)
}

func written(t *testing.T, code []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signed.wasm")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refresh has the host fetch the secrets of a component again.
func (v *vault) refresh(id string) error {
	return v.client.RefreshComponent(v.t.Context(), lattice.RefreshComponent{ComponentID: id, HostID: v.host})
}

func tokenOf(t *testing.T, path string) *token.Token {
	t.Helper()
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := token.Read(code, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func ask(t testing.TB, url string) told {
	t.Helper()
	_, body := get(t, url)
	var answer told
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return answer
}

// TestSecrets: what a backend is asked, what the component gets, and what it does not see.
func TestSecrets(t *testing.T) {
	v := newVault(t, nil)
	v.backend.set("db", text("opensesame"))
	v.backend.set("cert", `{"version":"1","binary_secret":[0,159,255]}`)
	v.must(v.client.PutConfig(t.Context(), "plain", lattice.Config{"say": "hi"}))
	path := signed(t, "alice")
	names := []string{v.refer("password", "kube", "db"), "plain", v.refer("tls", "kube", "cert")}
	url := v.serve("app", path, 2, func(c *lattice.ScaleComponent) {
		c.Config, c.Annotations = names, map[string]string{lattice.AnnotationAppSpec: "shop"}
	})
	for name, want := range map[string]told{
		"password": {Secret: "opensesame", Found: true}, "tls": {Secret: "[0 159 255]", Found: true},
		"db": {}, "SECRET_app-db": {}, "say": {},
	} {
		want.Config = map[string]string{"say": "hi"}
		if diff := cmp.Diff(want, ask(t, url+"/"+name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	asked := v.backend.questions()
	if len(asked) != 2 || v.backend.keyAsked != 1 || v.backend.keysUsed[0] == v.backend.keysUsed[1] {
		t.Fatalf("asked %+v with the keys %v, and %d times for the backend's", asked, v.backend.keysUsed, v.backend.keyAsked)
	}
	q := asked[0]
	if q.Key != "db" || q.Field != nil || q.Version != nil || q.Context.EntityJWT != tokenOf(t, path).JWT ||
		q.Context.Application.Name == nil || *q.Context.Application.Name != "shop" ||
		q.Context.Application.Policy != `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"namespace":"team-a"}}` {
		t.Errorf("asked %+v", q)
	}
	if host := segment(t, q.Context.HostJWT); !strings.Contains(host, `"sub":"`+v.host+`"`) || !strings.Contains(host, `"self_signed":"true"`) {
		t.Errorf("the host's token: %s", host)
	}
	if slices.ContainsFunc(asked, func(other question) bool { return other.Context.HostJWT != q.Context.HostJWT }) {
		t.Error("the host has more than one token")
	}
}

// TestSecrets_Errors: a component that cannot have its secrets does not start, and the event says why, in upstream's words.
func TestSecrets_Errors(t *testing.T) {
	v := newVault(t, func(c *wasmhost.Config) { c.SecretsTimeout = 200 * time.Millisecond })
	quiet := func(*nats.Msg) {}
	v.backend.on("mute.server_xkey", quiet)
	v.backend.on("liar.server_xkey", func(m *nats.Msg) { _ = m.Respond([]byte("X-key")) })
	v.backend.on("noise.server_xkey", func(m *nats.Msg) { _ = m.Respond([]byte{0xff}) })
	v.backend.on("gone.server_xkey", v.backend.answerKey)
	v.backend.on("slow.server_xkey", v.backend.answerKey)
	v.backend.on("slow.get", quiet)
	v.backend.on("other.server_xkey", v.backend.answerKey)
	v.backend.on("other.get", func(m *nats.Msg) {
		reply := v.backend.seal(`{}`, m.Header.Get("WasmCloud-Host-Xkey"))
		reply.Data[len(reply.Data)-1] ^= 1
		_ = m.RespondMsg(reply)
	})
	v.backend.on("keyless.server_xkey", v.backend.answerKey)
	v.backend.on("keyless.get", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Data: []byte("x"), Header: nats.Header{"Server-Response-Xkey": {"X"}}})
	})
	v.must(v.client.PutConfig(t.Context(), "SECRETARY", lattice.Config{"phone": "1"}))
	for key, reply := range map[string]string{"denied": `{"error":"Unauthorized"}`, "upstream": `{"error":{"UpstreamError":"sealed"}}`,
		"policy": `{"error":{"PolicyError":"no"}}`, "silent": `{}`, "odd": `{"error":"Surprise"}`, "clear": `{"secret":{"version":"1","string_secret":"x"}}`} {
		v.backend.errors[key] = reply
	}
	v.backend.set("none", "null")
	v.backend.set("empty", `{"version":"1"}`)
	v.backend.set("unversioned", `{"string_secret":"x"}`)
	const client = "failed to create secrets client: "
	good, plain := signed(t, "alice"), program(t, "unsigned")
	for id, c := range map[string]struct{ path, reference, want string }{
		"unsigned": {plain, v.refer("n", "kube", "db"), "entity did not have an embedded JWT, required to fetch secrets (was this entity signed during build?)"},
		"missing":  {good, "SECRET_gone", "Secret config SECRET_gone not found in config store, could not create secret request"},
		"no-reference": {good, "SECRETARY", "failed to deserialize secret reference from config store, " +
			"ensure SECRETARY is a secret reference and not configuration: missing field `name`"},
		"nobody":      {good, v.refer("n", "nobody", "k1"), client + "failed to fetch server xkey: no responders"},
		"mute":        {good, v.refer("n", "mute", "k2"), client + "failed to fetch server xkey: request timed out"},
		"liar":        {good, v.refer("n", "liar", "k3"), client + "failed to parse server xkey: the reply is no public curve key"},
		"noise":       {good, v.refer("n", "noise", "k4"), client + "failed to convert server xkey: the reply is not UTF-8"},
		"wildcard":    {good, v.refer("n", "*", "k5"), client + "the backend of the secret reference is no part of a NATS subject"},
		"gone":        {good, v.refer("n", "gone", "k6"), "failed to send secret request: no responders"},
		"slow":        {good, v.refer("n", "slow", "k7"), "failed to send secret request: request timed out"},
		"flipped":     {good, v.refer("n", "other", "k8"), "failed to open secret response: nkeys: could not decrypt input"},
		"keyless":     {good, v.refer("n", "keyless", "k9"), "failed to parse xkey from server response: the header holds no public curve key"},
		"absent":      {good, v.refer("n", "kube", "absent"), "server error: Secret not found"},
		"denied":      {good, v.refer("n", "kube", "denied"), "server error: Error fetching secret: unauthorized"},
		"upstream":    {good, v.refer("n", "kube", "upstream"), "server error: Error fetching secret: sealed"},
		"policy":      {good, v.refer("n", "kube", "policy"), "server error: Error processing policies: $no"},
		"silent":      {good, v.refer("n", "kube", "silent"), "server error: unhandled server error (the server errored without explanation)"},
		"odd":         {good, v.refer("n", "kube", "odd"), "failed to deserialize secret response: it is not one of the protocol"},
		"clear":       {good, v.refer("n", "kube", "clear"), "server error: unhandled server error (the server errored without explanation)"},
		"none":        {good, v.refer("n", "kube", "none"), "missing secret: no secret found with name [none]"},
		"empty":       {good, v.refer("nick", "kube", "empty"), "secret nick did not contain a value"},
		"unversioned": {good, v.refer("n", "kube", "unversioned"), "failed to deserialize secret response: it is not one of the protocol"},
	} {
		v.fails(id, c.path, []string{c.reference}, "Unable to fetch requested secrets: "+c.want)
	}
	i, err := v.client.HostInventory(t.Context(), v.host)
	if err != nil || len(i.Components) > 0 {
		t.Errorf("something runs without its secrets: %+v, %v", i.Components, err)
	}
}

// fails scales a component that is absent and waits for the event that says why it did not start.
func (w *world) fails(id, path string, config []string, want string) {
	w.t.Helper()
	_, err := w.client.ScaleComponent(w.t.Context(), lattice.ScaleComponent{ComponentID: id, ComponentRef: fileRef(w.t, path), Count: 1, HostID: w.host, Config: config})
	w.must(err)
	e := w.event(lattice.KindComponentScaleFailed, func(e lattice.Event) bool { return e.Data.(lattice.ComponentScaleFailed).ComponentID == id })
	if got := e.Data.(lattice.ComponentScaleFailed).Error; got != want {
		w.t.Errorf("%s: the event says %q, want %q", id, got, want)
	}
}

// TestSecrets_NoTopic: without a topic the host has no secrets, whatever the component.
func TestSecrets_NoTopic(t *testing.T) {
	w := newWorld(t, nil)
	w.fails("app", signed(t, "alice"), []string{"SECRET_x"}, "Unable to fetch requested secrets: secret store not configured, could not fetch secrets")
	for _, topic := range []string{"a b", ">", "a..b"} {
		if _, err := wasmhost.New(wasmhost.Config{Engine: fakeEngine{}, SecretsTopic: topic}); err == nil || !strings.Contains(err.Error(), "the secrets topic must") {
			t.Errorf("%q: %v", topic, err)
		}
	}
}

// TestSecrets_Again: the same command fetches again and swaps the values. No request is lost, and one under way keeps
// what it began with.
func TestSecrets_Again(t *testing.T) {
	v := newVault(t, nil)
	v.backend.set("db", text("one"))
	command := lattice.ScaleComponent{ComponentID: "app", ComponentRef: fileRef(t, signed(t, "alice")), Count: 3, HostID: v.host,
		Config: []string{v.refer("password", "kube", "db")}, Annotations: map[string]string{lattice.AnnotationAppSpec: "shop"}}
	url := v.serve("app", strings.TrimPrefix(command.ComponentRef, "file://"), 3, func(c *lattice.ScaleComponent) { *c = command }) + "/password"
	again := func() {
		t.Helper()
		_, err := v.client.ScaleComponent(t.Context(), command)
		v.must(err)
	}
	says := func(want string) {
		t.Helper()
		v.eventually("the secret "+want, func() bool { return ask(t, url).Secret == want })
	}
	slow := make(chan told, 1)
	go func() { slow <- ask(t, url+"/slow") }()
	<-v.engine.begun
	over, lost := v.hammer(url)
	v.backend.set("db", text("two"))
	again()
	says("two")
	v.backend.set("db", text("three"))
	v.must(v.refresh("app"))
	says("three")
	close(v.engine.goOn)
	if got := <-slow; got.Secret != "one" {
		t.Errorf("the request under way: %v", got)
	}
	v.backend.mu.Lock()
	v.backend.errors["db"] = `{"error":"Unauthorized"}`
	v.backend.mu.Unlock()
	again()
	v.event(lattice.KindComponentScaleFailed, nil)
	v.must(v.refresh("app"))
	v.eventually("the log says that what is denied was not fetched", func() bool { return v.log.contains("could not be fetched again") })
	says("three")
	command.Config = nil
	again()
	v.eventually("a command without the name takes the secret away", func() bool { return !ask(t, url).Found })
	close(over)
	if n := <-lost; n > 0 {
		t.Errorf("%d requests were not answered", n)
	}
	if text, _ := control.Refusal(v.refresh("nobody")); text != lattice.MessageComponentAbsent("nobody") {
		t.Errorf("a refresh of what does not run: %q", text)
	}
}

// hammer sends requests until over is closed; lost tells how many were not answered with 200.
func (v *vault) hammer(url string) (over chan struct{}, lost <-chan int) {
	over, count := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { count <- n }()
		for {
			select {
			case <-over:
				return
			default:
			}
			response, err := http.Get(url)
			if err != nil || response.StatusCode != http.StatusOK {
				n++
			}
			if err == nil {
				_ = response.Body.Close()
			}
		}
	}()
	return over, count
}

// TestSecrets_Update: other code must be allowed to have the secrets itself.
func TestSecrets_Update(t *testing.T) {
	v := newVault(t, nil)
	v.backend.set("db", text("one"))
	first, second := signed(t, "alice"), signed(t, "bob")
	names := []string{v.refer("password", "kube", "db")}
	url := v.serve("app", first, 1, func(c *lattice.ScaleComponent) { c.Config = names }) + "/password"
	_, err := v.client.UpdateComponent(t.Context(), lattice.UpdateComponent{ComponentID: "app", HostID: v.host, NewComponentRef: fileRef(t, program(t, "unsigned"))})
	v.must(err)
	v.event(lattice.KindComponentScaleFailed, func(e lattice.Event) bool {
		return strings.Contains(e.Data.(lattice.ComponentScaleFailed).Error, "did not have an embedded JWT")
	})
	v.backend.set("db", text("two"))
	_, err = v.client.ScaleComponent(t.Context(), lattice.ScaleComponent{ComponentID: "app", ComponentRef: fileRef(t, second), Count: 1, HostID: v.host,
		Config: names, AllowUpdate: true, Annotations: map[string]string{lattice.AnnotationAppSpec: "shop"}})
	v.must(err)
	v.event(lattice.KindComponentScaled, func(e lattice.Event) bool {
		return e.Data.(lattice.ComponentScaled).PublicKey == tokenOf(t, second).Claims.Subject
	})
	if got := ask(t, url); got.Secret != "two" {
		t.Errorf("after the update: %v", got)
	}
	var who []string
	for _, q := range v.backend.questions() {
		who = append(who, q.Context.EntityJWT)
	}
	if diff := cmp.Diff([]string{tokenOf(t, first).JWT, tokenOf(t, second).JWT}, who); diff != "" {
		t.Errorf("who asked (-want +got):\n%s", diff)
	}
}

// TestSecrets_NewBackendKey: a backend that came back with another key is asked for it again.
func TestSecrets_NewBackendKey(t *testing.T) {
	v := newVault(t, nil)
	v.backend.set("db", text("one"))
	url := v.serve("app", signed(t, "alice"), 1, func(c *lattice.ScaleComponent) { c.Config = []string{v.refer("password", "kube", "db")} }) + "/password"
	v.backend.renew()
	v.backend.set("db", text("two"))
	v.must(v.refresh("app"))
	v.eventually("the new value", func() bool { return ask(t, url).Secret == "two" })
	if v.backend.keyAsked != 2 {
		t.Errorf("asked for the key %d times", v.backend.keyAsked)
	}
}

// TestSecrets_Providers: the HTTP server is built in and has no identity, so it gets no secret, and no link with one.
func TestSecrets_Providers(t *testing.T) {
	v := newVault(t, nil)
	name := v.refer("tls", "kube", "db")
	v.must(v.client.StartProvider(t.Context(), lattice.StartProvider{ProviderID: "p", ProviderRef: lattice.BuiltinHTTPServer, HostID: v.host, Config: []string{name}}))
	e := v.event(lattice.KindProviderStartFailed, nil)
	const want = "Unable to fetch requested secrets: entity did not have an embedded JWT, required to fetch secrets (was this entity signed during build?)"
	if got := e.Data.(lattice.ProviderStartFailed).Error; got != want {
		t.Errorf("the event says %q", got)
	}
	url := v.serve("app", signed(t, "alice"), 1, nil)
	for _, change := range []func(*lattice.Link){
		func(l *lattice.Link) { l.SourceConfig = append(l.SourceConfig, name) },
		func(l *lattice.Link) { l.TargetConfig = []string{name} },
	} {
		l := v.link("app")
		change(&l)
		v.must(v.client.PutLink(t.Context(), l))
		v.eventually("the link is gone", func() bool { _, err := http.Get(url); return err != nil })
		v.must(v.client.PutLink(t.Context(), v.link("app")))
		v.eventually("the link is back", func() bool { r, err := http.Get(url); return err == nil && r.Body.Close() == nil })
	}
	if !v.log.contains(want) || !v.log.contains("A link was not delivered to its provider") {
		t.Error("the log does not say why")
	}
	l := v.link("app")
	l.SourceConfig = []string{"SECRET_gone"}
	if text, _ := control.Refusal(v.client.PutLink(t.Context(), l)); text != "Failed to validate configuration and secrets. Secret reference SECRET_gone not found in config store. " {
		t.Errorf("a link to a reference that is gone: %q", text)
	}
}

// TestSecrets_Hidden: no secret and no token of a component is in anything that the host publishes, stores or logs.
func TestSecrets_Hidden(t *testing.T) {
	const canary = "tweety-and-sylvester"
	v := newVault(t, func(c *wasmhost.Config) { c.Heartbeat = 20 * time.Millisecond })
	var mu sync.Mutex
	var heard strings.Builder
	s, err := v.conn.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&heard, "%s %v %s\n", m.Subject, m.Header, m.Data)
	})
	v.must(err)
	defer func() { _ = s.Unsubscribe() }()
	v.must(v.conn.Flush())
	v.backend.set("db", text(canary))
	v.backend.set("bad", `{"string_secret":"`+canary+`"}`)
	path := signed(t, "alice")
	url := v.serve("app", path, 1, func(c *lattice.ScaleComponent) { c.Config = []string{v.refer("password", "kube", "db")} }) + "/password"
	if got := ask(t, url); got.Secret != canary {
		t.Fatal(got)
	}
	v.must(v.refresh("app"))
	v.fails("bad", path, []string{v.refer("password", "kube", "bad")},
		"Unable to fetch requested secrets: failed to deserialize secret response: it is not one of the protocol")
	i, err := v.client.HostInventory(t.Context(), v.host)
	v.must(err)
	v.event(lattice.KindHostHeartbeat, func(e lattice.Event) bool { return len(e.Data.(lattice.HostHeartbeat).Components) == 1 })
	v.stop()
	mu.Lock()
	defer mu.Unlock()
	said := heard.String() + fmt.Sprintf("%+v", i)
	if !strings.Contains(said, "component_scaled") || !strings.Contains(said, secretsTopic) {
		t.Fatal("the test does not hear what the host publishes")
	}
	for what, hidden := range map[string]string{"the secret": canary, "the component's token": tokenOf(t, path).JWT} {
		if strings.Contains(said, hidden) {
			t.Errorf("%s is in what the host publishes", what)
		}
		if v.log.contains(hidden) {
			t.Errorf("%s is in the log", what)
		}
	}
}
