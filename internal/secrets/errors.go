package secrets

import (
	"fmt"
	"strings"
)

// Kind of an error, as it is called on the wire.
type Kind string

// The kinds that hosts know; another one they can't decode.
const (
	// SecretNotFound: key or field are absent.
	SecretNotFound Kind = "SecretNotFound"
	// InvalidXKey: the header is no public curve key.
	InvalidXKey Kind = "InvalidXKey"
	// EncryptionError: the value could not be sealed.
	EncryptionError Kind = "EncryptionError"
	// DecryptionError: the request is not sealed for a key of the backend.
	DecryptionError Kind = "DecryptionError"
	// Unauthorized: the asker may not have it.
	Unauthorized Kind = "Unauthorized"
	// InvalidRequest: the operation is unknown.
	InvalidRequest Kind = "InvalidRequest"
	// InvalidPayload: the request is not of the form.
	InvalidPayload Kind = "InvalidPayload"
	// InvalidHeaders: the header is missing.
	InvalidHeaders Kind = "InvalidHeaders"
	// InvalidEntityJWT: the token of the component or provider is refused.
	InvalidEntityJWT Kind = "InvalidEntityJWT"
	// InvalidHostJWT: the token of the host is refused.
	InvalidHostJWT Kind = "InvalidHostJWT"
	// UpstreamError: the secret could not be read.
	UpstreamError Kind = "UpstreamError"
	// PolicyError: the policy is malformed or asks for what there is not.
	PolicyError Kind = "PolicyError"
	// Other is everything else.
	Other Kind = "Other"
)

// maxText bounds the text of an error: hosts publish it in the event of a failed start.
const maxText = 512

// What hosts are told when it is not their fault. More is in the audit or the log: replies travel in clear.
const (
	textBusy   = "busy, ask again"
	textLate   = "the secret was not read in time; ask again"
	textStore  = "the secret could not be read; the audit of the operator says why"
	textMemory = "it can't be told whether the request is a repeated one; ask again"
	textPanic  = "the operator failed at this request; its log says where"
	textLarge  = "the value is larger than a message of NATS may be; store less in this field"
)

// Error is an answer to a host. Text is a sentence without values: replies travel in clear, and hosts publish them again
// when a start fails. Kinds that are bare on the wire have no text there; then it is for the audit only.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string {
	if e.Text == "" {
		return string(e.Kind)
	}
	return string(e.Kind) + ": " + e.Text
}

func refuse(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// bare kinds are a string on the wire.
func (k Kind) bare() bool {
	switch k {
	case SecretNotFound, InvalidXKey, EncryptionError, DecryptionError, Unauthorized, InvalidRequest, InvalidPayload, InvalidHeaders:
		return true
	}
	return false
}

// known kinds are the bare ones and those that are an object with a text.
func (k Kind) known() bool {
	switch k {
	case InvalidEntityJWT, InvalidHostJWT, UpstreamError, PolicyError, Other:
		return true
	}
	return k.bare()
}

// encodeError writes an error of a known kind as hosts decode it.
func encodeError(e *Error) []byte {
	if e.Kind.bare() {
		return encode(map[string]Kind{"error": e.Kind})
	}
	return encode(map[string]map[Kind]string{"error": {e.Kind: shorten(e.Text, maxText)}})
}

// shorten cuts foreign text, and leaves none in it that is not UTF-8.
func shorten(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
