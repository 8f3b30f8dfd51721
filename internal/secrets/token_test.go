package secrets_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/secrets"
)

const noon = 1_800_000_000

// TestErrors_Tokens: what is refused, in the place of the entity and of the host.
func TestErrors_Tokens(t *testing.T) {
	b := start(t, gives(canary), func(o *secrets.Options) { o.Now = func() time.Time { return time.Unix(noon, 999_000_000) } })
	const (
		form      = "it is no token of three parts in base64url without padding"
		noHeader  = `its header is not exactly {"typ":"jwt","alg":"Ed25519"}`
		claims    = "its claims can't be read"
		issuer    = "its issuer is no account key (A…)"
		signature = "its signature is not that of its issuer"
		expired   = "it has expired; sign it again"
		early     = "it is not valid yet; compare the clocks"
		noEntity  = "its subject is no component (M…) and no provider (V…)"
		noKey     = "its subject is no public key"
		members   = "its claims lack what wasmCloud's tools write (wascap with a component's hash, a provider's vendor and target_hashes); sign it with wash"
		good      = `,"wascap":{"hash":"AB"}`
	)
	component := func(more string) string { return sign(header, `{`+componentClaims+more+`}`) }
	provider := func(more string) string {
		return sign(header, `{"iss":"`+issuerKey+`","sub":"`+providerKey+`"`+more+`}`)
	}
	as := func(iss, sub string) string {
		return sign(header, `{"iss":"`+iss+`","sub":"`+sub+`"`+good+`}`)
	}
	parts := strings.Split(componentToken, ".")
	padded := base64.URLEncoding.EncodeToString([]byte(header))
	for name, c := range map[string]struct{ token, want string }{
		"empty":                   {"", form},
		"two parts":               {parts[0] + "." + parts[1], form},
		"four parts":              {componentToken + ".", form},
		"not base64":              {parts[0] + ".*." + parts[2], form},
		"header not base64":       {"*." + parts[1] + "." + parts[2], form},
		"padded":                  {padded + "." + parts[1] + "." + parts[2], form},
		"signature of 63 bytes":   {parts[0] + "." + parts[1] + "." + parts[2][:84], form},
		"no signature":            {parts[0] + "." + parts[1] + ".", form},
		"loose bits":              {componentToken[:len(componentToken)-1] + "R", form},
		"line end":                {strings.Replace(componentToken, ".", `.\n`, 1), form},
		"EdDSA":                   {sign(`{"typ":"jwt","alg":"EdDSA"}`, `{`+componentClaims+good+`}`), noHeader},
		"none":                    {sign(`{"typ":"jwt","alg":"none"}`, `{`+componentClaims+good+`}`), noHeader},
		"HS256":                   {sign(`{"typ":"jwt","alg":"HS256"}`, `{`+componentClaims+good+`}`), noHeader},
		"JWT":                     {sign(`{"typ":"JWT","alg":"Ed25519"}`, `{`+componentClaims+good+`}`), noHeader},
		"header with more":        {sign(`{"typ":"jwt","alg":"Ed25519","kid":"x"}`, `{`+componentClaims+good+`}`), noHeader},
		"header twice":            {sign(`{"typ":"jwt","alg":"Ed25519","alg":"Ed25519"}`, `{`+componentClaims+good+`}`), noHeader},
		"header in capitals":      {sign(`{"TYP":"jwt","ALG":"Ed25519"}`, `{`+componentClaims+good+`}`), noHeader},
		"header null":             {sign(`null`, `{`+componentClaims+good+`}`), noHeader},
		"claims null":             {sign(header, `null`), claims},
		"claims a list":           {sign(header, `[]`), claims},
		"claims twice":            {component(good + `,"sub":"` + componentKey + `"`), claims},
		"wascap a list":           {component(`,"wascap":[]`), claims},
		"hash a number":           {component(`,"wascap":{"hash":1}`), claims},
		"exp a text":              {component(good + `,"exp":"1"`), claims},
		"exp a fraction":          {component(good + `,"exp":1.5`), claims},
		"exp beyond all":          {component(good + `,"exp":99999999999999999999`), claims},
		"no issuer":               {sign(header, `{"sub":"`+componentKey+`"`+good+`}`), issuer},
		"issuer a component":      {as(componentKey, componentKey), issuer},
		"issuer a host":           {as(hostID, componentKey), issuer},
		"issuer a word":           {as("me", componentKey), issuer},
		"issuer with a typo":      {as(issuerKey[:55]+"V", componentKey), issuer},
		"another's signature":     {signWith(9, header, `{`+componentClaims+good+`}`), signature},
		"changed claims":          {parts[0] + "." + strings.Split(component(good), ".")[1] + "." + parts[2], signature},
		"expired":                 {component(good + `,"exp":1799999999`), expired},
		"expires now":             {component(good + `,"exp":1800000000`), expired},
		"not before":              {component(good + `,"nbf":1800000001`), early},
		"expired and early":       {component(good + `,"exp":1,"nbf":1900000000`), expired},
		"no subject":              {sign(header, `{"iss":"`+issuerKey+`"`+good+`}`), noKey},
		"subject a word":          {as(issuerKey, "M"), noKey},
		"subject with a typo":     {as(issuerKey, componentKey[:55]+"M"), noKey},
		"a host's":                {hostToken, noEntity},
		"subject a host":          {as(issuerKey, hostID), noEntity},
		"subject an account":      {as(issuerKey, issuerKey), noEntity},
		"subject a curve key":     {as(issuerKey, hostKey), noEntity},
		"no wascap":               {component(``), members},
		"wascap null":             {component(`,"wascap":null`), members},
		"wascap empty":            {component(`,"wascap":{}`), members},
		"no hash":                 {component(`,"wascap":{"name":"a","vendor":"v","target_hashes":{}}`), members},
		"hash null":               {component(`,"wascap":{"hash":null}`), members},
		"provider with a hash":    {provider(good), members},
		"provider without vendor": {provider(`,"wascap":{"target_hashes":{}}`), members},
		"provider without hashes": {provider(`,"wascap":{"vendor":"v"}`), members},
	} {
		want := `{"error":{"InvalidEntityJWT":"` + strings.ReplaceAll(c.want, `"`, `\"`) + `"}}`
		if diff := cmp.Diff(want, b.get(plainGet, body(c.token, `null`))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	for name, c := range map[string]struct{ token, want string }{
		"empty":           {"", form},
		"the entity's":    {componentToken, "its subject is no host (N…)"},
		"a provider's":    {providerToken, "its subject is no host (N…)"},
		"another's":       {signWith(9, header, `{"iss":"`+issuerKey+`","sub":"`+hostID+`"}`), signature},
		"issuer the host": {as(hostID, hostID), issuer},
		"expired":         {sign(header, `{"iss":"`+issuerKey+`","sub":"`+hostID+`","exp":1}`), expired},
	} {
		want := `{"error":{"InvalidHostJWT":"` + c.want + `"}}`
		got := b.get(plainGet, strings.Replace(body(componentToken, `null`), hostToken, c.token, 1))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("host %s: -want +got:\n%s", name, diff)
		}
	}
}

func TestTokens(t *testing.T) {
	b := start(t, gives(canary), func(o *secrets.Options) { o.Now = func() time.Time { return time.Unix(noon, 999_000_000) } })
	const good = `,"wascap":{"hash":"AB"}`
	for name, token := range map[string]string{
		"component":          componentToken,
		"provider":           providerToken,
		"expires later":      sign(header, `{`+componentClaims+good+`,"exp":1800000001,"nbf":1800000000}`),
		"nulls":              sign(header, `{`+componentClaims+good+`,"exp":null,"nbf":null}`),
		"header in disorder": sign(` { "alg" : "Ed25519" , "typ" : "jwt" } `, `{`+componentClaims+good+`}`),
		"unknown members":    sign(header, `{`+componentClaims+`,"wascap":{"hash":"AB","name":null,"new":[]},"aud":["x"]}`),
		"provider, empty":    sign(header, `{"iss":"`+issuerKey+`","sub":"`+providerKey+`","wascap":{"vendor":"","target_hashes":{}}}`),
	} {
		if got := b.get(plainGet, body(token, `null`)); got != usualReply {
			t.Errorf("%s: %s", name, got)
		}
	}
	bare := sign(header, `{"iss":"`+issuerKey+`","sub":"`+hostID+`"}`)
	if got := b.get(plainGet, strings.Replace(usual(), hostToken, bare, 1)); got != usualReply {
		t.Errorf("a host's token without wascap: %s", got)
	}
}

// TestErrors_Issuer: whom to trust is the Keeper's to say, by the issuer that was checked.
func TestErrors_Issuer(t *testing.T) {
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		if q.Entity.Issuer != issuerKey {
			return secrets.Secret{}, &secrets.Error{Kind: secrets.Unauthorized, Text: "the issuer is not trusted"}
		}
		return gives(canary)(ctx, q)
	}), nil)
	const hostIssuer = "ABXHUHG5FGYLPD6RHL2MKWMP572O6KUXCZXDZJXS4T57ZTMAKBN7DAQI" // seed of fives
	token := signWith(5, header, `{"iss":"`+hostIssuer+`","sub":"`+componentKey+`","wascap":{"hash":"AB"}}`)
	if got, want := b.get(plainGet, body(token, `null`)), `{"error":"Unauthorized"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := b.get(plainGet, usual()); got != usualReply {
		t.Errorf("got %s", got)
	}
}
