package token_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

const (
	module    = "\x00asm\x01\x00\x00\x00"
	component = "\x00asm\x0d\x00\x01\x00"
)

// section writes a section whose size takes five bytes, as linkers leave them.
func section(id byte, body string) string {
	n := len(body)
	return string([]byte{id, byte(n) | 0x80, byte(n>>7) | 0x80, byte(n>>14) | 0x80, 0x80, 0}) + body
}

func custom(name, body string) string { return section(0, string(rune(len(name)))+name+body) }

// code is a component with a module and a component in it.
var code = []byte(component + custom("producers", "x") + section(1, module+custom("name", "inner")) +
	section(4, component+section(1, module)))

func options(name string) sign.Options {
	account, module := sign.Seeds(name)
	return sign.Options{Account: account, Module: module, Name: "shop", Version: "1.2.3", Revision: 4, Tags: []string{"a"}}
}

func signed(t testing.TB, o sign.Options) []byte {
	t.Helper()
	s, err := sign.Component(code, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRead(t *testing.T) {
	o := options("alice")
	got, err := token.Read(signed(t, o), time.Now())
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	issuer, err1 := sign.AccountKey(o.Account)
	subject, err2 := sign.ModuleKey(o.Module)
	if errors.Join(err1, err2) != nil {
		t.Fatal(err1, err2)
	}
	revision := int32(4)
	want := token.Claims[token.Component]{ID: got.Claims.ID, Issuer: issuer, Subject: subject, Revision: 3,
		Metadata: &token.Component{Name: "shop", Version: "1.2.3", Revision: &revision, Tags: []string{"a"}, Hash: got.Claims.Metadata.Hash}}
	if diff := cmp.Diff(want, got.Claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(issuer, "A") || !strings.HasPrefix(subject, "M") || !bytes.Equal(signed(t, o), signed(t, o)) {
		t.Errorf("issuer %s, subject %s, or two signatures differ", issuer, subject)
	}
}

// TestRead_Upstream: a file that upstream's own tools signed.
func TestRead_Upstream(t *testing.T) {
	code, err := os.ReadFile("testdata/signed_loop.wasm")
	if err != nil {
		t.Fatal(err)
	}
	got, err := token.Read(code, time.Now())
	if err != nil || got == nil || got.Claims.Metadata.Name != "Secure Actor" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRead_Unsigned: neither what carries no token nor what is no WebAssembly is an error here.
func TestRead_Unsigned(t *testing.T) {
	inner := string(signed(t, options("alice")))
	for what, code := range map[string]string{
		"nothing": "", "text": "(component)", "the beginning of a header": "\x00asm", "no sections": component, "a component": string(code),
		"a signed component in another": component + section(4, inner),
	} {
		if got, err := token.Read([]byte(code), time.Now()); got != nil || err != nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

// TestRead_Resigned: a second signature replaces the first, and tokens of what is nested do not count.
func TestRead_Resigned(t *testing.T) {
	once := signed(t, options("alice"))
	outer := []byte(component + section(4, string(once)))
	for what, code := range map[string][]byte{"signed twice": once, "around a signed one": outer} {
		s, err := sign.Component(code, options("bob"))
		if err != nil {
			t.Fatal(err)
		}
		subject, _ := sign.ModuleKey(options("bob").Module)
		if got, err := token.Read(s, time.Now()); err != nil || got.Claims.Subject != subject {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if bytes.Count(s, []byte(token.SectionName)) != 1 {
			t.Errorf("%s: the old token is still there", what)
		}
	}
}

func TestRead_Errors(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	o := options("alice")
	late, early := o, o
	late.Expires, early.NotBefore = now.Add(-time.Second), now.Add(time.Second)
	good := signed(t, o)
	tampered := bytes.Replace(good, []byte("inner"), []byte("other"), 1)
	deep := module
	for range 40 {
		deep = component + section(4, deep)
	}
	for what, c := range map[string]struct {
		code []byte
		want error
	}{
		"other code":           {tampered, token.ErrOtherCode},
		"the token of another": {sign.Attach([]byte(component), text(t, good)), token.ErrOtherCode},
		"expired":              {signed(t, late), token.ErrExpired},
		"not valid yet":        {signed(t, early), token.ErrEarly},
		"changed claims":       {attach(t, good, func(c map[string]any) { c["sub"] = "M" }), token.ErrSignature},
		"no issuer":            {attach(t, good, func(c map[string]any) { c["iss"] = "me" }), token.ErrIssuer},
		"two parts":            {sign.Attach(code, "a.b"), token.ErrForm},
		"no base64":            {sign.Attach(code, "=.b.c"), token.ErrForm},
		"another algorithm":    {sign.Attach(code, base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"jwt","alg":"none"}`))+".e30."), token.ErrForm},
		"a host's":             {sign.Attach(code, hosts(t)), token.ErrSubject},
		"a module without hash": {sign.Attach(code, encode(t, o, func(c *token.Claims[token.Component]) {
			c.Metadata = nil
		})), token.ErrNoHash},
		"cut off":         {good[:len(good)-1], token.ErrNotWasm},
		"nested too deep": {sign.Attach([]byte(deep), text(t, good)), token.ErrNotWasm},
	} {
		if got, err := token.Read(c.code, now); got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v; want %v", what, got, err, c.want)
		}
	}
}

// text is the token of a signed component.
func text(t testing.TB, signed []byte) string {
	t.Helper()
	got, err := token.Read(signed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return got.JWT
}

// attach changes the claims of a signed component and leaves the signature.
func attach(t testing.TB, signed []byte, change func(map[string]any)) []byte {
	t.Helper()
	parts := strings.Split(text(t, signed), ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := map[string]any{}
	if err := errors.Join(err, json.Unmarshal(body, &claims)); err != nil {
		t.Fatal(err)
	}
	change(claims)
	if body, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString(body)
	return sign.Attach(code, strings.Join(parts, "."))
}

func encode(t testing.TB, o sign.Options, change func(*token.Claims[token.Component])) string {
	t.Helper()
	got, err := token.Read(signed(t, o), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := nkeys.FromSeed([]byte(o.Account))
	if err != nil {
		t.Fatal(err)
	}
	change(&got.Claims)
	text, err := token.Encode(got.Claims, key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hosts(t testing.TB) string {
	t.Helper()
	text, err := token.ForHost("NDNPT3D3YSTC5JGH6APJP6AMVXQY6BIDMUWZGSSQW26VJ3H4PCF2SSFR", "calm-fern-0001", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestForHost(t *testing.T) {
	parts := strings.Split(hosts(t), ".")
	head, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	body, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	signature, err3 := base64.RawURLEncoding.DecodeString(parts[2])
	var c struct {
		Iss, Sub, Jti string
		Iat           int64
		Wascap        struct {
			Name   string
			Labels map[string]string
		}
		Revision int `json:"wascap_revision"`
	}
	if err := errors.Join(err1, err2, err3, json.Unmarshal(body, &c)); err != nil {
		t.Fatal(err)
	}
	key, err := nkeys.FromPublicKey(c.Iss)
	if err != nil || key.Verify([]byte(parts[0]+"."+parts[1]), signature) != nil || !strings.HasPrefix(c.Iss, "A") {
		t.Errorf("the signature of %s is wrong: %v", c.Iss, err)
	}
	if string(head) != `{"typ":"jwt","alg":"Ed25519"}` || c.Sub[0] != 'N' || c.Jti == "" || c.Iat == 0 || c.Revision != 3 ||
		c.Wascap.Name != "calm-fern-0001" || c.Wascap.Labels["self_signed"] != "true" {
		t.Errorf("%s %+v", head, c)
	}
	if first, second := hosts(t), hosts(t); first == second {
		t.Error("two tokens are the same: the key must be new each time")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(code)
	f.Add(signed(f, options("alice")))
	f.Add(sign.Attach(code, "a.b.c"))
	f.Fuzz(func(t *testing.T, code []byte) {
		got, err := token.Read(code, time.Now())
		if got != nil && (err != nil || got.JWT == "" || got.Claims.Metadata == nil) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
