package lattice

import (
	"encoding/json"
	"errors"
	"strings"
)

// EventClaims are the claims of a signed component or provider inside an event.
type EventClaims struct {
	CallAlias string `json:"call_alias,omitempty"`
	Issuer    string `json:"issuer"`
	Tags      Tags   `json:"tags"`
	Name      string `json:"name,omitempty"`
	Version   string `json:"version,omitempty"`
	Revision  *int32 `json:"revision,omitempty"`
	// NotBeforeHuman and ExpiresHuman are `never` or the decimal seconds of the epoch.
	NotBeforeHuman string `json:"not_before_human"`
	ExpiresHuman   string `json:"expires_human"`
}

// Claims is the record of a signed component or provider in the data bucket, key ClaimsKey.
type Claims struct {
	CallAlias string `json:"call_alias,omitempty"`
	Issuer    string `json:"issuer"`
	Name      string `json:"name"`
	Revision  string `json:"revision"`
	// Subject equals the tail of the key.
	Subject string `json:"subject"`
	Tags    Tags   `json:"tags,omitempty"`
	Version string `json:"version"`
	// ConfigSchema is JSON in a string; providers only.
	ConfigSchema string `json:"config_schema,omitempty"`
}

// MarshalJSON writes call_alias and tags of a component even when they are empty: hosts take a record without them for a
// provider's.
func (c Claims) MarshalJSON() ([]byte, error) {
	type wire Claims
	if !strings.HasPrefix(c.Subject, "M") {
		return Encode(wire(c))
	}
	if c.Tags == nil {
		c.Tags = Tags{}
	}
	return Encode(struct {
		wire
		CallAlias string `json:"call_alias"`
		Tags      Tags   `json:"tags"`
	}{wire(c), c.CallAlias, c.Tags})
}

// UnmarshalJSON accepts the short names of old hosts.
func (c *Claims) UnmarshalJSON(data []byte) error {
	type wire Claims
	w := struct {
		*wire
		Iss string `json:"iss"`
		Rev string `json:"rev"`
		Sub string `json:"sub"`
	}{wire: &wire{}}
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	for _, alias := range []struct {
		to   *string
		from string
	}{{&w.Issuer, w.Iss}, {&w.Revision, w.Rev}, {&w.Subject, w.Sub}} {
		if *alias.to == "" {
			*alias.to = alias.from
		}
	}
	*c = Claims(*w.wire)
	return nil
}

// Tags are written as an array and read as an array, as one text with commas, or as null.
type Tags []string

// UnmarshalJSON reads all three forms.
func (t *Tags) UnmarshalJSON(data []byte) error {
	var list []string
	if err := json.Unmarshal(data, &list); err == nil {
		*t = list
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("tags are neither a list nor a text")
	}
	*t = nil
	if text != "" {
		*t = strings.Split(text, ",")
	}
	return nil
}
