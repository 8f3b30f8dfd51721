package secrets

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	fuzzIssuer    = "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU"
	fuzzComponent = "MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL"
)

// FuzzRequest: no bytes crash the reader, and what it accepts has what the rest relies on.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"key":"k","field":"f","version":null,"context":{"entity_jwt":"a.b.c","host_jwt":"d","application":{"name":"n","policy":"{}"}}}`))
	f.Add([]byte(`{"key":"k","context":{"application":null}}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := readRequest(data)
		if err != nil {
			return
		}
		if r.Key == nil || *r.Key == "" || r.Context == nil || r.Context.Application == nil || !utf8.ValidString(*r.Key) {
			t.Fatalf("accepted: %q", data)
		}
		if _, err := readPolicy(r.Context.Application.Policy); err != nil && !json.Valid(encodeError(answerTo(t.Context(), err))) {
			t.Fatalf("an error that is not JSON: %v", err)
		}
	})
}

// FuzzPolicy: a policy that is accepted holds text only.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"namespace":"team-a"}}`)
	f.Add(`{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"a":{"b":[1]}}}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := readPolicy(&text)
		if err != nil {
			if !json.Valid(encodeError(answerTo(t.Context(), err))) {
				t.Fatalf("an error that is not JSON: %v", err)
			}
			return
		}
		for name, value := range p.Properties {
			if !utf8.ValidString(name) || !utf8.ValidString(value) {
				t.Fatalf("%q has %q", text, value)
			}
		}
	})
}

// FuzzToken: no token crashes the reader or is both an entity's and a host's, and errors hold no part of it. The parts are
// signed, so that more than the signature is reached.
func FuzzToken(f *testing.F) {
	claims := `{"iss":"` + fuzzIssuer + `","sub":"` + fuzzComponent + `","exp":2000000000,"wascap":{"name":"n","hash":"AB"}}`
	f.Add(`{"typ":"jwt","alg":"Ed25519"}`, claims, true)
	f.Add(`{"typ":"jwt","alg":"none"}`, claims, false)
	f.Add(`{}`, `{"iss":"A","sub":1}`, true)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, header, claims string, signed bool) {
		token := header + "." + claims
		if signed {
			text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
			token = text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
		}
		entity, entityErr := ReadEntity(token, now)
		host, hostErr := readHost(token, now)
		switch {
		case entityErr == nil && hostErr == nil:
			t.Fatalf("%q is the token of %s and of host %s", claims, entity.Subject, host)
		case entityErr == nil && (!strings.HasPrefix(entity.Issuer, "A") || !strings.HasPrefix(entity.Subject, "M") && !strings.HasPrefix(entity.Subject, "V")):
			t.Fatalf("%q is accepted of %s for %s", claims, entity.Issuer, entity.Subject)
		case hostErr == nil && !strings.HasPrefix(host, "N"):
			t.Fatalf("%q is accepted as host %s", claims, host)
		case !signed && (entityErr == nil || hostErr == nil):
			t.Fatalf("%q is accepted unsigned", token)
		}
	})
}

// FuzzSubject: no subject crashes the reader, and one below the plain prefix never names a host group.
func FuzzSubject(f *testing.F) {
	s, err := newSubjects("default", DefaultBackend, []string{DefaultPrefix, DefaultPrefix + ofGroups})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("wasmcloud.secrets.v1alpha1.kube.get")
	f.Add("wasmcloud.secrets.team-a.hosts_eu.v1alpha1.kube.get")
	f.Add("wasmcloud.secrets.v1alpha1.kube.v1alpha1.kube.get")
	f.Fuzz(func(t *testing.T, subject string) {
		c, err := s.parse(subject)
		if err != nil {
			return
		}
		prefix := DefaultPrefix
		if c.asker.Group != "" {
			prefix = GroupPrefix(DefaultPrefix, c.asker.Namespace, c.asker.Group)
		}
		if again := prefix + ".v1alpha1.kube." + c.operation; again != subject {
			t.Fatalf("%q was read as %+v, which is %q", subject, c, again)
		}
	})
}

// FuzzKey: no text crashes the reader of public keys, and each key has one text.
func FuzzKey(f *testing.F) {
	f.Add(fuzzIssuer)
	f.Add("XAD2G7F4CQQJHSFXKXOBWEHINS2CMN2K2FVKQU7NBPP4BMVYNUOHZWPX")
	f.Add(strings.Repeat("A", 56))
	f.Fuzz(func(t *testing.T, text string) {
		kind, raw, ok := readKey(text)
		if isCurveKey(text) && (!ok || kind != keyCurve) {
			t.Fatalf("%q is a curve key and no key", text)
		}
		if ok && (len(raw) != keyBytes || strings.ToUpper(text) != text) {
			t.Fatalf("%q is a key of %d bytes", text, len(raw))
		}
	})
}
