package manifest

import (
	"errors"
	"fmt"
)

// misfit is something wrong in a free-form part. Its text is in the words of wadm's parser; at says which field it is,
// relative to that part.
type misfit struct {
	at string
	// missing: the field must be there and is not.
	missing bool
	err     error
}

func (m *misfit) Error() string { return m.err.Error() }
func (m *misfit) Unwrap() error { return m.err }

func missing(name string) error {
	return &misfit{at: name, missing: true, err: fmt.Errorf("missing field `%s`", name)}
}

// within moves what is wrong in an inner object to where that object lies.
func within(at string, err error) error {
	var inner *misfit
	if !errors.As(err, &inner) {
		return &misfit{at: at, err: err}
	}
	path := at
	switch {
	case at == "":
		path = inner.at
	case inner.at != "":
		path = at + "." + inner.at
	}
	return &misfit{at: path, missing: inner.missing, err: err}
}

func index(name string, i int) string { return fmt.Sprintf("%s[%d]", name, i) }
