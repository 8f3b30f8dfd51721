package secret

import (
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const (
	apiVersion = "v1alpha1"

	headerRequestKey = "WasmCloud-Host-Xkey"
	headerReplyKey   = "Server-Response-Xkey"
)

// request is what a backend is asked; null members are written.
type request struct {
	Key     string         `json:"key"`
	Field   *string        `json:"field"`
	Version *string        `json:"version"`
	Context requestContext `json:"context"`
}

type requestContext struct {
	EntityJWT   string      `json:"entity_jwt"`
	HostJWT     string      `json:"host_jwt"`
	Application application `json:"application"`
}

type application struct {
	Name   *string `json:"name"`
	Policy string  `json:"policy"`
}

// reply is what a backend answers: sealed when it holds a secret, in clear when it holds an error.
type reply struct {
	Secret *stored  `json:"secret"`
	Error  *failure `json:"error"`
}

type stored struct {
	Version *string `json:"version"`
	Text    *string `json:"string_secret"`
	Bytes   *octets `json:"binary_secret"`
}

// value is the secret, if there is one.
func (s *stored) value() (Value, bool) {
	switch {
	case s.Text != nil:
		return Text(*s.Text), true
	case s.Bytes != nil:
		return Bytes(*s.Bytes), true
	}
	return Value{}, false
}

// parseReply shows nothing of what it cannot read.
func parseReply(body []byte) (reply, error) {
	r, err := lattice.Decode[reply](body)
	if err != nil || !utf8.Valid(body) || r.Secret != nil && r.Secret.Version == nil {
		return reply{}, errNotReply
	}
	return r, nil
}

// octets is a list of numbers; encoding/json would take base64 too.
type octets []byte

func (o *octets) UnmarshalJSON(data []byte) error {
	var numbers []uint16
	if err := json.Unmarshal(data, &numbers); err != nil {
		return err
	}
	*o = make(octets, len(numbers))
	for i, n := range numbers {
		if n > 255 {
			return errors.New("a byte is larger than 255")
		}
		(*o)[i] = byte(n)
	}
	return nil
}

// failure is the error of a reply, as upstream's host words it.
type failure struct{ text string }

// Kinds of errors without a text of their own, and with one.
var (
	plainFailures = map[string]string{
		"SecretNotFound":  "Secret not found",
		"InvalidXKey":     "Invalid XKey",
		"EncryptionError": "Error encrypting secret",
		"DecryptionError": "Error decrypting secret",
		"Unauthorized":    "Error fetching secret: unauthorized",
		"InvalidRequest":  "Invalid request",
		"InvalidPayload":  "Invalid payload",
		"InvalidHeaders":  "Invalid headers",
	}
	textFailures = map[string]string{
		"InvalidEntityJWT": "Invalid Entity JWT: ",
		"InvalidHostJWT":   "Invalid Host JWT: ",
		"UpstreamError":    "Error fetching secret: ",
		"PolicyError":      "Error processing policies: $",
		"Other":            "Encountered an unknown error fetching secret: ",
	}
)

func (f *failure) UnmarshalJSON(data []byte) error {
	var kind string
	if json.Unmarshal(data, &kind) == nil {
		text, known := plainFailures[kind]
		f.text = text
		return unknownUnless(known)
	}
	var kinds map[string]string
	if err := json.Unmarshal(data, &kinds); err != nil {
		return err
	}
	for kind, text := range kinds {
		start, known := textFailures[kind]
		f.text = start + text
		return unknownUnless(known && len(kinds) == 1)
	}
	return unknownUnless(false)
}

func unknownUnless(known bool) error {
	if known {
		return nil
	}
	return errors.New("no error of the protocol")
}

// err is the error of a reply in clear.
func (r reply) err() error {
	switch {
	case r.Error == nil:
		return errUnexplained
	case r.Error.text == plainFailures["DecryptionError"]:
		return errDecryption
	}
	return errors.New("server error: " + r.Error.text)
}
