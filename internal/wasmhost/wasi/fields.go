package wasi

import (
	"errors"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

const (
	// maxFieldBytes bounds the names and values of one fields resource, maxAllFieldBytes those of all that a request makes.
	maxFieldBytes    = 128 << 10
	maxAllFieldBytes = 4 << 20
)

var errFieldsTooLarge = errors.New("the component built larger sets of header fields than it may: 128 KiB each, 4 MiB together")

// forbidden fields belong to the connection, not to the message: a component neither sees nor sets them.
func forbidden(name string) bool {
	switch name {
	case "connection", "host", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization",
		"proxy-connection", "te", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

type field struct {
	name  string // lower case
	value []byte
}

// fields is wasi:http's set of header or trailer fields, in the order they were added.
type fields struct {
	list      []field
	size      int
	spent     *int // by all fields of the instance; nil for those that the host made
	immutable bool
}

func fieldsFrom(h http.Header) *fields {
	f := &fields{immutable: true}
	for _, name := range sortedKeys(h) {
		lower := strings.ToLower(name)
		if forbidden(lower) || !httpguts.ValidHeaderFieldName(name) {
			continue
		}
		for _, v := range h[name] {
			f.size += len(lower) + len(v)
			f.list = append(f.list, field{lower, []byte(v)})
		}
	}
	return f
}

func (f *fields) copyTo(h http.Header, prefix string) {
	for _, e := range f.list {
		h.Add(prefix+e.name, string(e.value))
	}
}

func (f *fields) get(name string) cm.List {
	values := cm.List{}
	for _, e := range f.list {
		if e.name == name {
			values = append(values, e.value)
		}
	}
	return values
}

func (f *fields) remove(name string) {
	kept := f.list[:0]
	for _, e := range f.list {
		if e.name == name {
			f.size -= len(e.name) + len(e.value)
			continue
		}
		kept = append(kept, e)
	}
	f.list = kept
}

// headerError is the error side of a function that changes fields; nil means that the change is allowed.
func (f *fields) headerError(name string, values ...[]byte) any {
	reason := func(text string) any { return cm.Err(cm.Variant{Case: text}) }
	if f.immutable {
		return reason("immutable")
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return reason("invalid-syntax")
	}
	if forbidden(strings.ToLower(name)) {
		return reason("forbidden")
	}
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(string(v)) {
			return reason("invalid-syntax")
		}
	}
	return nil
}

func (f *fields) add(name string, values ...[]byte) error {
	for _, v := range values {
		if err := f.spend(len(name) + len(v)); err != nil {
			return err
		}
		f.list = append(f.list, field{strings.ToLower(name), v})
	}
	return nil
}

func (f *fields) spend(n int) error {
	f.size += n
	if f.spent != nil {
		*f.spent += n
	}
	if f.size > maxFieldBytes || f.spent != nil && *f.spent > maxAllFieldBytes {
		return errFieldsTooLarge
	}
	return nil
}

// clone is a set of the component's own, paid for by it.
func (f *fields) clone(in *Instance) (*fields, error) {
	c := &fields{list: append([]field(nil), f.list...), spent: &in.fieldBytes}
	return c, c.spend(f.size)
}

func fieldFunctions() map[string]Func {
	on := func(use func(in *Instance, f *fields, args []any) (any, error)) Func {
		return func(in *Instance, args []any) (any, error) {
			f, err := borrow[*fields](in, args[0], KindFields)
			if err != nil {
				return nil, err
			}
			return use(in, f, args)
		}
	}
	lower := func(v any) string { return strings.ToLower(v.(string)) }
	return map[string]Func{
		"[constructor]fields":      func(in *Instance, _ []any) (any, error) { return in.owned(KindFields, &fields{spent: &in.fieldBytes}) },
		"[static]fields.from-list": fieldsFromList,
		"[method]fields.get":       on(func(_ *Instance, f *fields, args []any) (any, error) { return f.get(lower(args[1])), nil }),
		"[method]fields.has": on(func(_ *Instance, f *fields, args []any) (any, error) {
			return len(f.get(lower(args[1]))) > 0, nil
		}),
		"[method]fields.set":    on(fieldsSet),
		"[method]fields.append": on(fieldsAppend),
		"[method]fields.delete": on(func(_ *Instance, f *fields, args []any) (any, error) {
			if refused := f.headerError(args[1].(string)); refused != nil {
				return refused, nil
			}
			f.remove(lower(args[1]))
			return cm.OK(nil), nil
		}),
		"[method]fields.entries": on(func(_ *Instance, f *fields, _ []any) (any, error) {
			list := cm.List{}
			for _, e := range f.list {
				list = append(list, cm.Tuple{e.name, e.value})
			}
			return list, nil
		}),
		"[method]fields.clone": on(func(in *Instance, f *fields, _ []any) (any, error) {
			c, err := f.clone(in)
			if err != nil {
				return nil, err
			}
			return in.owned(KindFields, c)
		}),
	}
}

func fieldsFromList(in *Instance, args []any) (any, error) {
	items, err := cm.Items(args[0])
	if err != nil {
		return nil, err
	}
	f := &fields{spent: &in.fieldBytes}
	for _, item := range items {
		pair := item.(cm.Tuple)
		v, err := cm.Bytes(pair[1])
		if err != nil {
			return nil, err
		}
		if refused := f.headerError(pair[0].(string), v); refused != nil {
			return refused, nil
		}
		if err := f.add(pair[0].(string), v); err != nil {
			return nil, err
		}
	}
	return in.okOwned(KindFields, f)
}

func fieldsSet(_ *Instance, f *fields, args []any) (any, error) {
	items, err := cm.Items(args[2])
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(items))
	for i, item := range items {
		if values[i], err = cm.Bytes(item); err != nil {
			return nil, err
		}
	}
	name := args[1].(string)
	if refused := f.headerError(name, values...); refused != nil {
		return refused, nil
	}
	f.remove(strings.ToLower(name))
	return cm.OK(nil), f.add(name, values...)
}

func fieldsAppend(_ *Instance, f *fields, args []any) (any, error) {
	v, err := cm.Bytes(args[2])
	if err != nil {
		return nil, err
	}
	if refused := f.headerError(args[1].(string), v); refused != nil {
		return refused, nil
	}
	return cm.OK(nil), f.add(args[1].(string), v)
}
