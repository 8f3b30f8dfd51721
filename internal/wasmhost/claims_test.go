package wasmhost_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// segment is what a token says.
func segment(t *testing.T, text string) string {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", text)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestClaims: who signed a component is in events, in the inventory and in the lattice's data.
func TestClaims(t *testing.T) {
	w := newWorld(t, nil)
	path := signed(t, "alice")
	w.serve("app", path, 1, nil)
	account, module := sign.Seeds("alice")
	issuer, err1 := sign.AccountKey(account)
	subject, err2 := sign.ModuleKey(module)
	w.must(err1)
	w.must(err2)
	e := w.event(lattice.KindComponentScaled, nil).Data.(lattice.ComponentScaled)
	revision := int32(7)
	want := &lattice.EventClaims{Issuer: issuer, Tags: lattice.Tags{}, Name: "shop of alice", Version: "1.0.0", Revision: &revision,
		NotBeforeHuman: "never", ExpiresHuman: "never"}
	if diff := cmp.Diff(want, e.Claims); diff != "" || e.PublicKey != subject {
		t.Errorf("the event of %s (-want +got):\n%s", e.PublicKey, diff)
	}
	i, err := w.client.HostInventory(t.Context(), w.host)
	if err != nil || i.Components[0].Name != "shop of alice" || i.Components[0].Revision != 7 {
		t.Errorf("inventory: %+v, %v", i.Components, err)
	}
	js, err := jetstream.New(w.conn)
	w.must(err)
	kv, err := js.KeyValue(t.Context(), "LATTICEDATA_default")
	w.must(err)
	entry, err := kv.Get(t.Context(), "CLAIMS_"+subject)
	w.must(err)
	stored := `{"issuer":"` + issuer + `","name":"shop of alice","revision":"7","subject":"` + subject + `","version":"1.0.0","call_alias":"","tags":[]}`
	if got := string(entry.Value()); got != stored {
		t.Errorf("stored %s, want %s", got, stored)
	}
	w.eventually("the claims are answered", func() bool {
		reply, err := w.conn.Request("wasmbus.ctl.v1.default.claims.get", nil, time.Second)
		return err == nil && strings.Contains(string(reply.Data), `"sub":"`+subject+`"`) && strings.Contains(string(reply.Data), `"rev":"7"`)
	})
}

// TestClaims_Errors: code that is not what was signed is not run, whether it asks for secrets or not.
func TestClaims_Errors(t *testing.T) {
	w := newWorld(t, nil)
	code, err := os.ReadFile(signed(t, "alice"))
	w.must(err)
	account, module := sign.Seeds("alice")
	old, err := sign.Component(code, sign.Options{Account: account, Module: module, Expires: time.Unix(1000, 0)})
	w.must(err)
	const step = "failed to read the component's token: "
	for id, c := range map[string]struct {
		code []byte
		want string
	}{
		"other-code": {append(bytes.Clone(code), 0, 2, 1, 'x'),
			"the hash in the component's token is not that of its code: it was changed after it was signed; sign it again"},
		"signature": {flip(code, len(code)-20),
			"the signature of the component's token is wrong: it was changed after it was signed"},
		"expired": {old, "the component's token has expired; sign the component again: it was valid until 1970-01-01T00:16:40Z"},
		"cut":     {code[:len(code)-1], "the component's file is damaged: section 0 at byte 8 has no end"},
	} {
		w.fails(id, written(t, c.code), nil, step+c.want)
	}
}

func flip(code []byte, at int) []byte {
	changed := bytes.Clone(code)
	if changed[at]++; changed[at] > 'y' {
		changed[at] = 'A'
	}
	return changed
}
