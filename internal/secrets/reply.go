package secrets

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// headerReply holds the public key that a reply is sealed with. Without it, hosts read the reply as an error.
const headerReply = "Server-Response-Xkey"

type replyForm struct {
	Secret secretForm `json:"secret"`
}

type secretForm struct {
	Version string  `json:"version"`
	Text    *string `json:"string_secret"`
	Bytes   octets  `json:"binary_secret"`
}

// octets are an array of numbers on the wire, not base64, and null when nil.
type octets []byte

// MarshalJSON writes the array.
func (o octets) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	out := make([]byte, 0, 4*len(o)+2)
	out = append(out, '[')
	for i, b := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(b), 10)
	}
	return append(out, ']'), nil
}

func encodeSecret(s Secret) []byte {
	form := secretForm{Version: s.Version}
	if s.Binary || !utf8.Valid(s.Value) {
		form.Bytes = append(octets{}, s.Value...)
	} else {
		text := string(s.Value) // also the empty one: a reply without a value fails at the host
		form.Text = &text
	}
	return encode(replyForm{form})
}

// encode writes JSON as other implementations do, without HTML's escapes.
func encode(form any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(form); err != nil {
		panic(err) // the forms of this package can be encoded
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// seal makes the message that only the holder of the recipient's key can read, with a pair of its own.
func seal(body []byte, recipient string) (*nats.Msg, error) {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, refuse(EncryptionError, "there is no pair of keys for the reply: %v", err)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return nil, refuse(EncryptionError, "the reply's key can't be written: %v", err)
	}
	sealed, err := pair.Seal(body, recipient)
	if err != nil {
		return nil, refuse(EncryptionError, "the reply can't be sealed: %v", err)
	}
	return &nats.Msg{Header: nats.Header{headerReply: {public}}, Data: sealed}, nil
}
