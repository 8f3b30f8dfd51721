package natskeys_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/natskeys"
)

// TestNarrow: only a key that init made itself counts as one that never signed more.
func TestNarrow(t *testing.T) {
	var keys natskeys.System
	complete(t, &keys, "default", "edge")
	dir := t.TempDir()
	look := func() (narrow bool) {
		t.Helper()
		for name, content := range keys.Operator {
			write(t, filepath.Join(dir, name), content)
		}
		return natskeys.Narrow(dir, "default", natskeys.Signer(keys.Operator["lattice.default.creds"]))
	}
	if !look() {
		t.Error("a key of this release is not narrow")
	}
	for what, signer := range map[string]string{
		"of another lattice": natskeys.Signer(keys.Operator["lattice.edge.creds"]), "of the store": natskeys.Signer(keys.Operator["TRELLIS.creds"]),
		"of nobody": natskeys.Signer([]byte("nonsense")),
	} {
		if natskeys.Narrow(dir, "default", signer) {
			t.Errorf("a key %s is narrow", what)
		}
	}
	if natskeys.Narrow(dir, "absent", natskeys.Signer(keys.Operator["lattice.default.creds"])) || natskeys.Narrow(dir, "a.b", "A") {
		t.Error("a key is narrow in a lattice that has none")
	}
	for name := range keys.Operator {
		if strings.HasPrefix(name, "TRELLIS") && strings.HasSuffix(name, ".narrow") {
			t.Errorf("%s is about no lattice", name)
		}
	}

	keys.Operator["lattice.default.narrow"] = nil // a key of an earlier release
	complete(t, &keys, "default", "edge")
	if look() {
		t.Error("a key that was there before is narrow")
	}
	// An earlier release makes another key and knows nothing of the file.
	keys.Operator["lattice.default.narrow"] = []byte(natskeys.Signer(keys.Operator["lattice.edge.creds"]))
	if look() {
		t.Error("a key is narrow for what is written of another")
	}
}

// wide are credentials as earlier releases gave them to host groups: all rights, for every kind of connection.
func wide(t *testing.T, keys *natskeys.System) []byte {
	t.Helper()
	operator, err := jwt.ParseDecoratedJWT(keys.Operator["lattice.default.creds"])
	if err != nil {
		t.Fatal(err)
	}
	account, err := jwt.DecodeUserClaims(operator)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := nkeys.FromSeed(keys.Operator["lattice.default.nk"])
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	claims.Name, claims.IssuerAccount = "hosts team-a/hosts.eu", account.IssuerAccount
	token, err := claims.Encode(signing)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// asOfAnEarlierRelease has a signing key of which nothing is known.
func asOfAnEarlierRelease(t *testing.T) *natskeys.System {
	t.Helper()
	var keys natskeys.System
	complete(t, &keys, "default")
	delete(keys.Operator, "lattice.default.narrow")
	complete(t, &keys, "default")
	return &keys
}

func (w *system) narrow() bool {
	return natskeys.Narrow(w.dir, "default", natskeys.Signer(read(w.t, w.credentials)))
}

// TestReplaceTheSigningKey is what docs/runbook-secrets.md says, against real servers: credentials of an earlier release ask
// in the name of any group, until the signing key is removed, init has made another, and the server has read the account
// anew. Then all that the old key signed is refused, and host groups get credentials that are narrow.
func TestReplaceTheSigningKey(t *testing.T) {
	keys := asOfAnEarlierRelease(t)
	before := systemOf(t, keys)
	old, oldNarrow := wide(t, keys), before.issue(groupOf("team-a", "hosts.eu", nil))
	if before.narrow() {
		t.Fatal("the old key is believed")
	}
	before.serveSecrets()
	if answer, err := before.behind(old).Request(getOfB, nil, 5*time.Second); err != nil || !strings.Contains(string(answer.Data), "InvalidHeaders") {
		t.Fatalf("in the name of another: %v, %v; want an answer, or the test proves nothing", answer, err)
	}

	delete(keys.Operator, "lattice.default.nk")
	complete(t, keys, "default")
	after := systemOf(t, keys)
	if !after.narrow() {
		t.Error("the new key is not believed")
	}
	for what, creds := range map[string][]byte{"wide": old, "narrow": oldNarrow} {
		if _, answer := after.greet(creds, false); !strings.Contains(answer, "Authorization Violation") {
			t.Errorf("a leaf with old %s credentials: %q, want that it is refused", what, answer)
		}
		if after.issuer.Valid(groupOf("team-a", "hosts.eu", nil), creds) {
			t.Errorf("old %s credentials are not made anew", what)
		}
	}
	path := filepath.Join(t.TempDir(), "nats.creds")
	write(t, path, old)
	if conn, err := nats.Connect(after.client, nats.UserCredentials(path)); !errors.Is(err, nats.ErrAuthorization) {
		conn.Close()
		t.Errorf("a client with old credentials: %v, want an authorization violation", err)
	}
	public := after.serveSecrets()
	again := after.join(groupOf("team-a", "hosts.eu", nil))
	after.eventually("an answer to the group", func() bool {
		answer, err := again.Request(keyOfA, nil, time.Second)
		return err == nil && string(answer.Data) == public
	})
	if answer, err := again.Request(keyOfB, nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("in the name of another: %v, %v; want that nobody answers", answer, err)
	}
}
