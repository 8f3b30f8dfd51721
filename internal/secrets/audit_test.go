package secrets_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/secrets"
)

func TestDecision(t *testing.T) {
	now := time.Unix(noon, 0)
	b := start(t, keeperFunc(func(_ context.Context, q secrets.Question) (secrets.Secret, error) {
		if q.Field != "api-password" {
			return secrets.Secret{}, &secrets.Error{Kind: secrets.Unauthorized, Text: "field x is not granted"}
		}
		return secrets.Secret{Version: "1", Value: []byte(canary), Namespace: "team-a"}, nil
	}), func(o *secrets.Options) { o.Now = func() time.Time { return now } })
	b.get(groupGet, usual())
	b.get(groupGet, strings.Replace(usual(), "api-password", "x", 1))
	b.get(plainGet, strings.Replace(usual(), hostToken, componentToken, 1))
	asked := secrets.Question{
		Asker: secrets.Asker{Lattice: "default", Namespace: "team-a", Group: "hosts.eu"}, Application: "hello-world", HostID: hostID,
		Entity: secrets.Entity{Kind: "component", Subject: componentKey, Issuer: issuerKey, Name: "http-hello-world",
			Hash: "CE90192C99C0B2C608B2E2CB619A9251FB681856C15681B1BCD62EEDA2D5128E"},
		Key: "app-secrets", Field: "api-password", Policy: secrets.Policy{Properties: map[string]string{"namespace": "team-a"}},
	}
	denied, malformed := asked, asked
	denied.Field = "x"
	malformed.Asker, malformed.HostID, malformed.Policy = secrets.Asker{Lattice: "default"}, "", secrets.Policy{}
	want := []secrets.Decision{
		{Time: now, Backend: "kube", Question: asked, Namespace: "team-a"},
		{Time: now, Backend: "kube", Question: denied, Kind: secrets.Unauthorized, Reason: "Unauthorized: field x is not granted"},
		{Time: now, Backend: "kube", Question: malformed, Kind: secrets.InvalidHostJWT, Reason: "InvalidHostJWT: its subject is no host (N…)"},
	}
	if diff := cmp.Diff(want, b.decided()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLogAuditor(t *testing.T) {
	lines := func(verbosity int, d secrets.Decision) []string {
		var all []string
		log := funcr.New(func(_, line string) { all = append(all, line) }, funcr.Options{Verbosity: verbosity})
		secrets.NewLogAuditor(log).Decided(d)
		return all
	}
	three := "3"
	d := secrets.Decision{
		Time: time.Unix(noon, 0), Latency: 3 * time.Millisecond, Backend: "kube", Namespace: "team-a",
		Question: secrets.Question{
			Asker: secrets.Asker{Lattice: "default", Namespace: "infra", Group: "hosts"}, Application: "shop", HostID: "N1",
			Entity: secrets.Entity{Kind: "component", Subject: "M1", Issuer: "A1", Name: "api", Hash: "AB"},
			Key:    "app", Field: "password", Version: &three,
			Policy: secrets.Policy{Properties: map[string]string{"namespace": "team-a", "other": "not logged"}},
		},
	}
	want := `"level"=0 "msg"="Secret requested" "decision"="given" "kind"="" "reason"="" "at"="2027-01-15T08:00:00Z" "latency"="3ms"` +
		` "lattice"="default" "backend"="kube" "groupNamespace"="infra" "group"="hosts" "doubt"="" "namespace"="team-a" "policyNamespace"="team-a"` +
		` "secret"="app" "field"="password" "version"="3" "application"="shop" "host"="N1" "entityKind"="component" "entity"="M1"` +
		` "issuer"="A1" "entityName"="api" "hash"="AB"`
	if diff := cmp.Diff([]string{want}, lines(0, d)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	d.Kind, d.Reason, d.Question.Key = secrets.Unauthorized, "no grant", strings.Repeat("k", 10_000)+"\n"
	got := strings.Join(lines(0, d), "\n")
	if !strings.Contains(got, `"decision"="refused" "kind"="Unauthorized" "reason"="no grant"`) || len(got) > 2000 {
		t.Error(got)
	}
	d.Flood = true
	if quiet, all := lines(0, d), lines(1, d); len(quiet) != 0 || len(all) != 1 {
		t.Errorf("of a flood %d and %d lines are written", len(quiet), len(all))
	}
	secrets.NewLogAuditor(logr.Discard()).Decided(d)
}

// TestDoubt: where NATS lets anybody ask in the name of a host group, none is believed. That is looked at for each request:
// servers come and go. The audit names what the subject claimed, and why it was not believed.
func TestDoubt(t *testing.T) {
	doubts := make(chan string, 1)
	asked := make(chan secrets.Asker, 1)
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		asked <- q.Asker
		return gives(canary)(ctx, q)
	}), func(o *secrets.Options) { o.Doubt = func() string { return <-doubts } })
	for _, doubt := range []string{"NATS is too old", "", "the key may be an old one"} {
		doubts <- doubt
		if got := b.get(groupGet, usual()); got != usualReply {
			t.Fatal(got)
		}
		claimed := secrets.Asker{Lattice: "default", Namespace: "team-a", Group: "hosts.eu", Doubt: doubt}
		if got := b.decided()[len(b.decided())-1].Question.Asker; got != claimed {
			t.Errorf("the audit says %+v, want %+v", got, claimed)
		}
		want := claimed
		if doubt != "" {
			want.Namespace, want.Group = "", ""
		}
		if got := <-asked; got != want {
			t.Errorf("the keeper is told %+v, want %+v", got, want)
		}
	}
	// Below the plain prefix there is nothing to doubt.
	if got := b.get(plainGet, usual()); got != usualReply || <-asked != (secrets.Asker{Lattice: "default"}) {
		t.Error(got)
	}
}
