// Package cm holds the values of the component model as plain Go values, so that the functions a host offers to
// components can be written and tested without cgo.
//
// Numbers and booleans are the Go types of their width, a string is a string, list<u8> a []byte.
// Everything else has a type here. A list that is empty carries no element type: read one with Bytes or Items.
package cm

import "fmt"

// Char is a Unicode scalar value.
type Char rune

// List is any list but list<u8>.
type List []any

// Tuple holds its elements in order.
type Tuple []any

// Field is one field of a Record.
type Field struct {
	Name  string
	Value any
}

// Record holds its fields in the order of their declaration.
type Record []Field

// Variant is a case and its payload; Value is nil for a case without one.
type Variant struct {
	Case  string
	Value any
}

// Enum is the name of a case.
type Enum string

// Flags are the names of the flags that are set.
type Flags []string

// Option is some value or none.
type Option struct {
	Some  bool
	Value any
}

// Result is ok or an error; Value is nil where that side has no payload.
type Result struct {
	Failed bool
	Value  any
}

// Resource is a handle of a resource that the host defined: Kind says which, Rep which one. An owned argument has left
// the component and belongs to the host; an owned result leaves the host.
type Resource struct {
	Kind  uint32
	Rep   uint32
	Owned bool
}

// Some returns an Option that holds v.
func Some(v any) Option { return Option{Some: true, Value: v} }

// None returns an empty Option.
func None() Option { return Option{} }

// OK returns a successful Result.
func OK(v any) Result { return Result{Value: v} }

// Err returns a failed Result.
func Err(v any) Result { return Result{Failed: true, Value: v} }

// Bytes reads a list<u8>, which may arrive as an empty List.
func Bytes(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case List:
		if len(v) == 0 {
			return nil, nil
		}
	}
	return nil, &TypeError{Want: "list<u8>", Got: v}
}

// Items reads any list but list<u8>.
func Items(v any) (List, error) {
	if l, ok := v.(List); ok {
		return l, nil
	}
	return nil, &TypeError{Want: "list", Got: v}
}

// TypeError says that a component passed a value of another type than its interface declares.
type TypeError struct {
	Want string
	Got  any
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("the component passed a %T where the interface asks for a %s", e.Got, e.Want)
}
