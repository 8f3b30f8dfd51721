package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const canary = "opensesame"

// TestValue: a secret does not show, whatever prints it.
func TestValue(t *testing.T) {
	type holder struct {
		Values map[string]Value
		Inner  *Value
	}
	for _, v := range []Value{Text(canary), Bytes([]byte(canary))} {
		var said strings.Builder
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&said, format, v)
			fmt.Fprintf(&said, format, holder{map[string]Value{"a": v}, &v})
		}
		text, err := json.Marshal(holder{map[string]Value{"a": v}, &v})
		if err != nil {
			t.Fatal(err)
		}
		said.Write(text)
		log := funcr.NewJSON(func(line string) { said.WriteString(line) }, funcr.Options{})
		log.Info("x", "value", v, "holder", holder{map[string]Value{"a": v}, &v}, "error", fmt.Errorf("%v", v))
		for _, shown := range []string{canary, fmt.Sprint([]byte(canary)), fmt.Sprintf("%x", canary)} {
			if strings.Contains(said.String(), shown) {
				t.Errorf("the secret shows: %s", said.String())
			}
		}
	}
}

func TestParseReference(t *testing.T) {
	text := func(s string) *string { return &s }
	for content, want := range map[string]Reference{
		`{"name":"n","type":"t","backend":"b","key":"k","policy":"{\"type\":\"p\",\"properties\":{\"a\":\"<b>\",\"c\":{\"d\":1}}}","more":"x"}`: {
			Name: "n", Backend: "b", Key: "k", Policy: `{"type":"p","properties":{"a":"<b>","c":{"d":1}}}`},
		`{"name":"","type":"","backend":"","key":"","field":"f","version":"1","policy":"{\"type\":\"\",\"properties\":{}}"}`: {
			Field: text("f"), Version: text("1"), Policy: `{"type":"","properties":{}}`},
	} {
		got, err := ParseReference([]byte(content))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", content, diff)
		}
	}
}

// TestParseReference_Errors: nothing of the content shows, which may be a secret put in the wrong place.
func TestParseReference_Errors(t *testing.T) {
	whole := map[string]any{"name": canary, "type": canary, "backend": canary, "key": canary, "policy": `{"type":"t","properties":{}}`}
	with := func(member string, v any) []byte {
		changed := map[string]any{}
		for name, value := range whole {
			changed[name] = value
		}
		changed[member] = v
		if v == nil {
			delete(changed, member)
		}
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for what, c := range map[string]struct {
		content []byte
		want    string
	}{
		"no JSON":            {[]byte(canary), "not a JSON object"},
		"null":               {[]byte("null"), "missing field `name`"},
		"plain":              {[]byte(`{"password":"` + canary + `"}`), "missing field `name`"},
		"no backend":         {with("backend", nil), "missing field `backend`"},
		"no key":             {with("key", nil), "missing field `key`"},
		"no type":            {with("type", nil), "missing field `type`"},
		"no policy":          {with("policy", nil), "missing field `policy`"},
		"other case":         {[]byte(strings.Replace(string(with("x", 1)), `"name"`, `"Name"`, 1)), "missing field `name`"},
		"a number":           {with("key", 1), "not a JSON object of strings"},
		"policy no JSON":     {with("policy", canary), "its policy"},
		"policy no object":   {with("policy", `["`+canary+`"]`), "its policy"},
		"policy incomplete":  {with("policy", `{"type":"`+canary+`"}`), "its policy"},
		"policy of no type":  {with("policy", `{"properties":{}}`), "its policy"},
		"policy as an array": {with("policy", map[string]any{}), "not a JSON object of strings"},
	} {
		_, err := ParseReference(c.content)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v; want %q", what, err, c.want)
		}
	}
}

func TestParseReply(t *testing.T) {
	for body, want := range map[string]any{
		`{"secret":{"version":"1","string_secret":"a","binary_secret":[1]}}`:           "a",
		`{"secret":{"version":"","string_secret":"","binary_secret":null},"error":""}`: nil,
		`{"secret":{"version":"","string_secret":""}}`:                                 "",
		`{"secret":{"version":"1","string_secret":null,"binary_secret":[0,255]}}`:      []byte{0, 255},
		`{"secret":{"version":"1","binary_secret":[]}}`:                                []byte{},
		`{"secret":{"version":"1"}}`:                                                   nil,
		`{"secret":{"string_secret":"a"}}`:                                             nil,
		`{"secret":{"version":"1","binary_secret":"AAEC"}}`:                            nil,
		`{"secret":{"version":"1","binary_secret":[256]}}`:                             nil,
		`{"secret":{"version":"1","string_secret":"` + "\xff" + `"}}`:                  nil,
		`{}`: nil,
	} {
		var got any
		if r, err := parseReply([]byte(body)); err == nil && r.Secret != nil {
			if v, ok := r.Secret.value(); ok {
				got = v.Reveal()
			}
		} else if err != nil && !errors.Is(err, errNotReply) {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// TestFailures: every error of the protocol has upstream's text.
func TestFailures(t *testing.T) {
	for body, want := range map[string]string{
		`"SecretNotFound"`: "server error: Secret not found", `"InvalidXKey"`: "server error: Invalid XKey",
		`"EncryptionError"`: "server error: Error encrypting secret", `"DecryptionError"`: "server error: Error decrypting secret",
		`"Unauthorized"`: "server error: Error fetching secret: unauthorized", `"InvalidRequest"`: "server error: Invalid request",
		`"InvalidPayload"`: "server error: Invalid payload", `"InvalidHeaders"`: "server error: Invalid headers",
		`{"InvalidEntityJWT":"x"}`: "server error: Invalid Entity JWT: x", `{"InvalidHostJWT":"x"}`: "server error: Invalid Host JWT: x",
		`{"UpstreamError":"x"}`: "server error: Error fetching secret: x", `{"PolicyError":"x"}`: "server error: Error processing policies: $x",
		`{"Other":"x"}`:         "server error: Encountered an unknown error fetching secret: x",
		`null`:                  "server error: unhandled server error (the server errored without explanation)",
		`"PolicyError"`:         errNotReply.Error(),
		`{"Unauthorized":"x"}`:  errNotReply.Error(),
		`"Surprise"`:            errNotReply.Error(),
		`{}`:                    errNotReply.Error(),
		`{"Other":"x","y":"z"}`: errNotReply.Error(),
		`7`:                     errNotReply.Error(),
	} {
		r, err := parseReply([]byte(`{"error":` + body + `}`))
		if err == nil {
			err = r.err()
		}
		if err.Error() != want {
			t.Errorf("%s: %q, want %q", body, err, want)
		}
	}
}

func TestRequestForm(t *testing.T) {
	body, err := lattice.Encode(request{Key: "k", Context: requestContext{EntityJWT: "e", HostJWT: "h", Application: application{Policy: "{}"}}})
	const want = `{"key":"k","field":null,"version":null,"context":{"entity_jwt":"e","host_jwt":"h","application":{"name":null,"policy":"{}"}}}`
	if err != nil || string(body) != want {
		t.Errorf("%s, %v", body, err)
	}
}

func TestValidateTopic(t *testing.T) {
	for _, topic := range []string{"wasmcloud.secrets", "a", "a-b_c.D9"} {
		if err := ValidateTopic(topic); err != nil {
			t.Error(err)
		}
	}
	for _, topic := range []string{"", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "a\n", "ä"} {
		if err := ValidateTopic(topic); !errors.Is(err, ErrTopic) {
			t.Errorf("%q: %v", topic, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"secret":{"version":"1","binary_secret":[1]}}`))
	f.Add([]byte(`{"error":{"Other":"x"}}`))
	f.Add([]byte(`{"name":"n","type":"t","backend":"b","key":"k","policy":"{\"type\":\"p\",\"properties\":{}}"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := parseReply(body); err == nil && r.Secret == nil && r.err() == nil {
			t.Error("a reply is neither a secret nor an error")
		}
		_, _ = ParseReference(body)
	})
}
