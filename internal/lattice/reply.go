package lattice

import (
	"bytes"
	"encoding/json"
)

// Reply is the envelope of every control answer.
type Reply struct {
	Success bool `json:"success"`
	// Message may carry a text on success too.
	Message string `json:"message"`
	// Response is absent where the operation has no payload.
	Response json.RawMessage `json:"response,omitempty"`
}

// UnmarshalJSON treats `"response": null` as absent.
func (r *Reply) UnmarshalJSON(data []byte) error {
	type wire Reply
	var w wire
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	if bytes.Equal(w.Response, []byte("null")) {
		w.Response = nil
	}
	*r = Reply(w)
	return nil
}

// Accepted is a successful reply without payload.
func Accepted(message string) Reply { return Reply{Success: true, Message: message} }

// Refused is a reply that says why not.
func Refused(message string) Reply { return Reply{Message: message} }

// Answer is a successful reply with a payload.
func Answer(payload any) (Reply, error) {
	data, err := Encode(payload)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Success: true, Response: data}, nil
}
