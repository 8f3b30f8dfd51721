// Package secret fetches secrets for workloads: it speaks wasmCloud's protocol of secrets, v1alpha1, to the backends of a
// lattice. What travels is sealed with keys made for one request.
package secret

import (
	"fmt"
	"io"
)

const redacted = "[secret]"

// Value is a secret. However it is printed or logged, it does not show.
type Value struct{ value any }

// Text makes a secret of a text.
func Text(s string) Value { return Value{s} }

// Bytes makes a secret of bytes.
func Bytes(b []byte) Value { return Value{b} }

// Reveal returns a string or a []byte.
func (v Value) Reveal() any { return v.value }

// Format, MarshalText and MarshalLog stand in for every way to print a value.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText is what encoders of JSON and YAML write.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalLog is what logr writes.
func (v Value) MarshalLog() any { return redacted }
