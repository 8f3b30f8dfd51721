package secrets_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/secrets"
)

// vector is {"key":"k","field":"f","version":null}, sealed from the host's pair to the backend's.
const vector = "eGt2MQABAgMEBQYHCAkKCwwNDg8QERITFBUWF3Nwe6g2kduUpz1dMW9ZMthp17A8Ix9H8JLQbSGZK3TRESguJAWRgxeY/znryztjYRMiQl9IEg=="

func TestVector(t *testing.T) {
	b := start(t, gives(canary), nil)
	sealed, err := base64.StdEncoding.DecodeString(vector)
	if err != nil {
		t.Fatal(err)
	}
	// It can be opened, and then lacks the context.
	if got, want := b.text(b.send(b.request(plainGet, hostKey, sealed))), `{"error":"InvalidPayload"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i := range sealed {
		changed := append([]byte{}, sealed...)
		changed[i] ^= 1
		if got, want := b.text(b.send(b.request(plainGet, hostKey, changed))), `{"error":"DecryptionError"}`; got != want {
			t.Errorf("byte %d flipped: got %s, want %s", i, got, want)
		}
	}
}

func TestServerKey(t *testing.T) {
	b := start(t, gives(canary), nil)
	serve(t, b.url, gives(canary), nil)
	for _, subject := range []string{plainKey, "wasmcloud.secrets.team-a.hosts.v1alpha1.kube.server_xkey"} {
		for range 20 {
			reply := b.send(&nats.Msg{Subject: subject})
			if string(reply.Data) != backendKey || len(reply.Header) > 0 {
				t.Fatalf("%s: %q with headers %v", subject, reply.Data, reply.Header)
			}
		}
	}
}

func TestQuestion(t *testing.T) {
	asked := make(chan secrets.Question, 1)
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		asked <- q
		return gives(canary)(ctx, q)
	}), nil)
	component := secrets.Entity{Kind: "component", Subject: componentKey, Issuer: issuerKey, Name: "http-hello-world",
		Hash: "CE90192C99C0B2C608B2E2CB619A9251FB681856C15681B1BCD62EEDA2D5128E"}
	unknown := secrets.Asker{Lattice: "default"}
	usualQuestion := secrets.Question{Asker: unknown, Application: "hello-world", Entity: component, HostID: hostID, Key: "app-secrets",
		Field: "api-password", Policy: secrets.Policy{Properties: map[string]string{"namespace": "team-a"}}}
	with := func(change func(*secrets.Question)) secrets.Question {
		q := usualQuestion
		change(&q)
		return q
	}
	three := "3"
	bare := with(func(q *secrets.Question) { q.Application, q.Policy = "", secrets.Policy{} })
	for name, c := range map[string]struct {
		subject, body string
		want          secrets.Question
	}{
		"a host":   {plainGet, usual(), usualQuestion},
		"in group": {groupGet, usual(), with(func(q *secrets.Question) { q.Asker.Namespace, q.Asker.Group = "team-a", "hosts.eu" })},
		"other order, unknown members": {plainGet, `{"context":{"application":{"name":"hello-world","policy":"` + policyText + `","x":1},"host_jwt":"` + hostToken +
			`","entity_jwt":"` + componentToken + `","new":{}},"version":null,"Key":"other","field":"api-password","key":"app-secrets","z":[]}`, usualQuestion},
		"version": {plainGet, strings.Replace(usual(), `"version":null`, `"version":"3"`, 1), with(func(q *secrets.Question) { q.Version = &three })},
		"field and version absent": {plainGet, strings.Replace(usual(), `"field":"api-password","version":null,`, ``, 1),
			with(func(q *secrets.Question) { q.Field = "" })},
		"field null": {plainGet, strings.Replace(usual(), `"api-password"`, `null`, 1), with(func(q *secrets.Question) { q.Field = "" })},
		"provider": {plainGet, strings.Replace(usual(), componentToken, providerToken, 1), with(func(q *secrets.Question) {
			q.Entity = secrets.Entity{Kind: "provider", Subject: providerKey, Issuer: issuerKey, Name: "sqldb"}
		})},
		"application null":        {plainGet, body(componentToken, `null`), bare},
		"application empty":       {plainGet, body(componentToken, `{}`), bare},
		"application absent":      {plainGet, strings.Replace(body(componentToken, `null`), `,"application":null`, ``, 1), bare},
		"name null, policy empty": {plainGet, body(componentToken, `{"name":null,"policy":""}`), bare},
		"policy null":             {plainGet, body(componentToken, `{"policy":null}`), bare},
		"policy without properties": {plainGet, body(componentToken, `{"policy":"{\"type\":\"properties.secret.wasmcloud.dev/v1alpha1\"}"}`),
			with(func(q *secrets.Question) { q.Application, q.Policy.Properties = "", map[string]string{} })},
	} {
		if got := b.get(c.subject, c.body); got != usualReply {
			t.Errorf("%s: %s", name, got)
			continue
		}
		if diff := cmp.Diff(c.want, <-asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestValues(t *testing.T) {
	for name, c := range map[string]struct {
		secret secrets.Secret
		want   string
	}{
		"text":         {secrets.Secret{Version: "1", Value: []byte("a<\"&é")}, `{"secret":{"version":"1","string_secret":"a<\"&é","binary_secret":null}}`},
		"empty":        {secrets.Secret{Version: "1"}, `{"secret":{"version":"1","string_secret":"","binary_secret":null}}`},
		"no version":   {secrets.Secret{Value: []byte("a")}, `{"secret":{"version":"","string_secret":"a","binary_secret":null}}`},
		"not UTF-8":    {secrets.Secret{Version: "1", Value: []byte{0, 159, 146, 150}}, `{"secret":{"version":"1","string_secret":null,"binary_secret":[0,159,146,150]}}`},
		"forced":       {secrets.Secret{Version: "1", Value: []byte("ab"), Binary: true}, `{"secret":{"version":"1","string_secret":null,"binary_secret":[97,98]}}`},
		"empty forced": {secrets.Secret{Version: "1", Binary: true}, `{"secret":{"version":"1","string_secret":null,"binary_secret":[]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, keeperFunc(func(context.Context, secrets.Question) (secrets.Secret, error) { return c.secret, nil }), nil)
			if diff := cmp.Diff(c.want, b.get(plainGet, usual())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestErrors_Kinds: every kind in its form, and what the Keeper says otherwise in none of them.
func TestErrors_Kinds(t *testing.T) {
	said := make(chan error, 1)
	b := start(t, keeperFunc(func(context.Context, secrets.Question) (secrets.Secret, error) {
		return secrets.Secret{Value: []byte(canary)}, <-said
	}), nil)
	fixed := `{"error":{"UpstreamError":"the secret could not be read; the audit of the operator says why"}}`
	for _, c := range []struct {
		err  error
		want string
	}{
		{&secrets.Error{Kind: secrets.SecretNotFound, Text: "not sent"}, `{"error":"SecretNotFound"}`},
		{&secrets.Error{Kind: secrets.InvalidXKey}, `{"error":"InvalidXKey"}`},
		{&secrets.Error{Kind: secrets.EncryptionError}, `{"error":"EncryptionError"}`},
		{&secrets.Error{Kind: secrets.DecryptionError}, `{"error":"DecryptionError"}`},
		{&secrets.Error{Kind: secrets.Unauthorized, Text: "not sent"}, `{"error":"Unauthorized"}`},
		{&secrets.Error{Kind: secrets.InvalidRequest}, `{"error":"InvalidRequest"}`},
		{&secrets.Error{Kind: secrets.InvalidPayload}, `{"error":"InvalidPayload"}`},
		{&secrets.Error{Kind: secrets.InvalidHeaders}, `{"error":"InvalidHeaders"}`},
		{&secrets.Error{Kind: secrets.InvalidEntityJWT, Text: "a"}, `{"error":{"InvalidEntityJWT":"a"}}`},
		{&secrets.Error{Kind: secrets.InvalidHostJWT, Text: ""}, `{"error":{"InvalidHostJWT":""}}`},
		{&secrets.Error{Kind: secrets.UpstreamError, Text: "<b>"}, `{"error":{"UpstreamError":"<b>"}}`},
		{&secrets.Error{Kind: secrets.PolicyError, Text: "say \"x\""}, `{"error":{"PolicyError":"say \"x\""}}`},
		{&secrets.Error{Kind: secrets.Other, Text: strings.Repeat("x", 600)}, `{"error":{"Other":"` + strings.Repeat("x", 512) + `…"}}`},
		{fmt.Errorf("of the API: %w", &secrets.Error{Kind: secrets.SecretNotFound}), `{"error":"SecretNotFound"}`},
		{&secrets.Error{Kind: "Invented", Text: "a"}, fixed},
		{&secrets.Error{}, fixed},
		{errors.New("secrets \"a\" is forbidden: no right in kube-system"), fixed},
		{context.DeadlineExceeded, `{"error":{"UpstreamError":"the secret was not read in time; ask again"}}`},
	} {
		said <- c.err
		if diff := cmp.Diff(c.want, b.get(plainGet, usual())); diff != "" {
			t.Errorf("%v: -want +got:\n%s", c.err, diff)
		}
	}
	for _, d := range b.decided() {
		if d.Kind == "" {
			t.Errorf("audited as given: %+v", d)
		}
	}
}

func TestErrors_Subjects(t *testing.T) {
	b := start(t, gives(canary), nil)
	for _, operation := range []string{"put_secret", "GET", "get.x", "v1alpha1.kube.get.get"} {
		subject := "wasmcloud.secrets.v1alpha1.kube." + operation
		if got, want := b.get(subject, usual()), `{"error":"InvalidRequest"}`; got != want {
			t.Errorf("%s: got %s, want %s", subject, got, want)
		}
	}
	// A subject that could mean two things is that of a host group of this name.
	if got := b.get("wasmcloud.secrets.v1alpha1.kube.v1alpha1.kube.get", usual()); got != usualReply {
		t.Errorf("got %s", got)
	}
	last := b.decided()[len(b.decided())-1].Question.Asker
	if want := (secrets.Asker{Lattice: "default", Namespace: "v1alpha1", Group: "kube"}); last != want {
		t.Errorf("asked by %+v, want %+v", last, want)
	}
	for _, group := range []string{"Team.hosts", "team-a.-x", "team_a.hosts", "team.a__b", "team.Hosts", strings.Repeat("a", 64) + ".hosts", "a." + strings.Repeat("b", 254)} {
		if got, want := b.get("wasmcloud.secrets."+group+".v1alpha1.kube.get", usual()), `{"error":"InvalidRequest"}`; got != want {
			t.Errorf("%s: got %s, want %s", group, got, want)
		}
	}
}

func TestErrors_Headers(t *testing.T) {
	b := start(t, gives(canary), nil)
	data := b.sealed(usual(), backendKey)
	for name, c := range map[string]struct {
		headers nats.Header
		want    string
	}{
		"none":          {nil, "InvalidHeaders"},
		"another":       {nats.Header{"X": {"y"}}, "InvalidHeaders"},
		"other case":    {nats.Header{"Wasmcloud-Host-Xkey": {hostKey}}, "InvalidHeaders"},
		"lower case":    {nats.Header{"wasmcloud-host-xkey": {hostKey}}, "InvalidHeaders"},
		"twice":         {nats.Header{"WasmCloud-Host-Xkey": {hostKey, hostKey}}, "InvalidHeaders"},
		"empty":         {nats.Header{"WasmCloud-Host-Xkey": {""}}, "InvalidXKey"},
		"bad checksum":  {nats.Header{"WasmCloud-Host-Xkey": {hostKey[:55] + "Y"}}, "InvalidXKey"},
		"short":         {nats.Header{"WasmCloud-Host-Xkey": {hostKey[:55]}}, "InvalidXKey"},
		"long":          {nats.Header{"WasmCloud-Host-Xkey": {hostKey + strings.Repeat("A", 1000)}}, "InvalidXKey"},
		"one longer":    {nats.Header{"WasmCloud-Host-Xkey": {hostKey + "A"}}, "InvalidXKey"},
		"lower-case":    {nats.Header{"WasmCloud-Host-Xkey": {strings.ToLower(hostKey)}}, "InvalidXKey"},
		"an account's":  {nats.Header{"WasmCloud-Host-Xkey": {issuerKey}}, "InvalidXKey"},
		"a seed":        {nats.Header{"WasmCloud-Host-Xkey": {hostSeed}}, "InvalidXKey"},
		"of low order":  {nats.Header{"WasmCloud-Host-Xkey": {"XAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPQN"}}, "InvalidXKey"},
		"of low order1": {nats.Header{"WasmCloud-Host-Xkey": {"XAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA6CU"}}, "InvalidXKey"},
		"somebody's":    {nats.Header{"WasmCloud-Host-Xkey": {otherKey}}, "DecryptionError"},
	} {
		got := b.text(b.send(&nats.Msg{Subject: plainGet, Header: c.headers, Data: data}))
		if want := `{"error":"` + c.want + `"}`; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := b.text(b.send(b.request(plainGet, hostKey, data))); got != usualReply {
		t.Errorf("after all these: %s", got)
	}
}

func TestErrors_Bodies(t *testing.T) {
	b := start(t, gives(canary), nil)
	const payload = `{"error":"InvalidPayload"}`
	noText := `{"error":{"PolicyError":"property \"n\" of the policy is no text; write its value in quotes"}}`
	noPolicy := `{"error":{"PolicyError":"the policy is no JSON object with type and properties"}}`
	withPolicy := func(p string) string {
		return body(componentToken, `{"policy":"`+strings.ReplaceAll(p, `"`, `\"`)+`"}`)
	}
	typed := func(properties string) string {
		return withPolicy(`{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":` + properties + `}`)
	}
	for name, c := range map[string]struct{ body, want string }{
		"null":                {`null`, payload},
		"list":                {`[]`, payload},
		"text":                {`"x"`, payload},
		"number":              {`1`, payload},
		"nothing":             {``, payload},
		"empty object":        {`{}`, payload},
		"not JSON":            {`{"key":`, payload},
		"two values":          {usual() + `{}`, payload},
		"deep":                {strings.Repeat(`[`, 60_000), payload},
		"not UTF-8":           {strings.Replace(usual(), "app-secrets", "\xff", 1), payload},
		"no key":              {strings.Replace(usual(), `"key"`, `"KEY"`, 1), payload},
		"key null":            {strings.Replace(usual(), `"app-secrets"`, `null`, 1), payload},
		"key a number":        {strings.Replace(usual(), `"app-secrets"`, `7`, 1), payload},
		"key twice":           {strings.Replace(usual(), `"key":`, `"key":"a","key":`, 1), payload},
		"key empty":           {strings.Replace(usual(), `"app-secrets"`, `""`, 1), `{"error":{"Other":"the reference names no secret; set its key"}}`},
		"field a list":        {strings.Replace(usual(), `"api-password"`, `[]`, 1), payload},
		"version a number":    {strings.Replace(usual(), `"version":null`, `"version":1`, 1), payload},
		"context null":        {`{"key":"k","context":null}`, payload},
		"context a text":      {`{"key":"k","context":"c"}`, payload},
		"application a text":  {body(componentToken, `"hello"`), payload},
		"name a number":       {body(componentToken, `{"name":1}`), payload},
		"policy an object":    {body(componentToken, `{"policy":{}}`), payload},
		"policy not JSON":     {withPolicy(`namespace`), noPolicy},
		"policy null":         {withPolicy(`null`), noPolicy},
		"policy a list":       {withPolicy(`[]`), noPolicy},
		"policy with more":    {withPolicy(`{} {}`), noPolicy},
		"policy twice":        {typed(`{"n":"a","n":"b"}`), noPolicy},
		"properties a list":   {typed(`[]`), noPolicy},
		"property a number":   {typed(`{"n":1}`), noText},
		"property a boolean":  {typed(`{"n":true}`), noText},
		"property null":       {typed(`{"n":null}`), noText},
		"property an object":  {typed(`{"n":{"a":{"b":"c"}}}`), noText},
		"policy without type": {withPolicy(`{"properties":{}}`), `{"error":{"PolicyError":"the policy has type \"\"; use properties.secret.wasmcloud.dev/v1alpha1"}}`},
		"policy of other type": {withPolicy(`{"type":"x","properties":{}}`),
			`{"error":{"PolicyError":"the policy has type \"x\"; use properties.secret.wasmcloud.dev/v1alpha1"}}`},
		"too large": {strings.Replace(usual(), "app-secrets", strings.Repeat("x", 64<<10), 1), payload},
	} {
		if diff := cmp.Diff(c.want, b.get(plainGet, c.body)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	for name, data := range map[string][]byte{"empty": nil, "plain": []byte(usual()), "version only": []byte("xkv1"), "short": []byte("xkv1aaaaaaaaaaaaaaaaaaaaaaaaaa")} {
		want := `{"error":"DecryptionError"}`
		if len(data) == 0 {
			want = payload
		}
		if got := b.text(b.send(b.request(plainGet, hostKey, data))); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestErrors_Huge: 10 MiB, on a NATS server that lets them through, and on one that does not.
func TestErrors_Huge(t *testing.T) {
	b := serve(t, natsServer(t, &server.Options{MaxPayload: 16 << 20}), gives(canary), nil)
	b.host = newHost(t, b.url)
	huge := strings.Replace(usual(), "app-secrets", strings.Repeat("x", 10<<20), 1)
	if got, want := b.get(plainGet, huge), `{"error":"InvalidPayload"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	ordinary := start(t, gives(canary), nil)
	_, err := ordinary.conn.RequestMsg(ordinary.request(plainGet, hostKey, ordinary.sealed(huge, backendKey)), time.Second)
	if !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("NATS says %v", err)
	}
	for name, b := range map[string]*backend{"large": b, "ordinary": ordinary} {
		if got := b.get(plainGet, usual()); got != usualReply {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestErrors_LargeValue: a value that fits into a Secret, but not into a reply.
func TestErrors_LargeValue(t *testing.T) {
	b := start(t, gives(strings.Repeat("\xff", 700_000)), nil)
	want := `{"error":{"UpstreamError":"the value is larger than a message of NATS may be; store less in this field"}}`
	if got := b.get(plainGet, usual()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRotation(t *testing.T) {
	b := start(t, gives(canary), func(o *secrets.Options) { o.Keyring = keyring(t, otherSeed, backendSeed) })
	if got := string(b.send(&nats.Msg{Subject: plainKey}).Data); got != otherKey {
		t.Errorf("announced: %s", got)
	}
	for _, key := range []string{backendKey, otherKey} {
		if got := b.text(b.send(b.request(plainGet, hostKey, b.sealed(usual(), key)))); got != usualReply {
			t.Errorf("sealed for %s: %s", key, got)
		}
	}
	if got, want := b.text(b.send(b.request(plainGet, hostKey, b.sealed(usual(), hostKey)))), `{"error":"DecryptionError"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// natsServer runs a NATS server with settings of the test.
func natsServer(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("NATS does not listen within 20 s")
	}
	return s.ClientURL()
}
