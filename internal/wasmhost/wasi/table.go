package wasi

import (
	"errors"
	"fmt"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// Kind says what a resource is. The numbers have a meaning only within this process.
type Kind uint32

// The kinds of resources.
const (
	KindUnknown Kind = iota
	KindError
	KindPollable
	KindInputStream
	KindOutputStream
	KindFields
	KindIncomingRequest
	KindIncomingBody
	KindFutureTrailers
	KindOutparam
	KindOutgoingResponse
	KindOutgoingBody
	KindOutgoingRequest
	KindRequestOptions
	KindFutureResponse
	KindIncomingResponse
	KindNetwork
	KindSocket
	KindTerminal
	KindDescriptor
	KindSecret
)

// maxResources bounds what a component can make the host keep for it. A handle takes 24 bytes here; the JavaScript
// runtime leaves eight behind for each 64 KiB of a body, so this many are enough for 8 GiB.
const maxResources = 1 << 20

var (
	errTooManyResources = errors.New("the component holds too many resources")
	errNoResource       = errors.New("the component used a resource that is gone or of another kind")
)

type slot struct {
	kind  Kind
	value any
}

// table maps the numbers behind handles to what they stand for.
type table struct {
	slots []slot
	free  []uint32
}

func (t *table) push(kind Kind, value any) (uint32, error) {
	if n := len(t.free); n > 0 {
		rep := t.free[n-1]
		t.free = t.free[:n-1]
		t.slots[rep] = slot{kind, value}
		return rep, nil
	}
	if len(t.slots) >= maxResources {
		return 0, errTooManyResources
	}
	t.slots = append(t.slots, slot{kind, value})
	return uint32(len(t.slots) - 1), nil
}

func (t *table) get(rep uint32, kind Kind) (any, error) {
	if int(rep) >= len(t.slots) || t.slots[rep].kind != kind || t.slots[rep].value == nil {
		return nil, errNoResource
	}
	return t.slots[rep].value, nil
}

func (t *table) remove(rep uint32) (any, error) {
	if int(rep) >= len(t.slots) || t.slots[rep].value == nil {
		return nil, errNoResource
	}
	value := t.slots[rep].value
	t.slots[rep] = slot{}
	t.free = append(t.free, rep)
	return value, nil
}

// own puts a value into the table and returns the handle that the component will own.
func (in *Instance) own(kind Kind, value any) (cm.Resource, error) {
	rep, err := in.table.push(kind, value)
	return cm.Resource{Kind: uint32(kind), Rep: rep, Owned: true}, err
}

// borrow finds what a handle stands for.
func borrow[T any](in *Instance, handle any, kind Kind) (T, error) {
	var none T
	r, ok := handle.(cm.Resource)
	if !ok || Kind(r.Kind) != kind {
		return none, errNoResource
	}
	value, err := in.table.get(r.Rep, kind)
	if err != nil {
		return none, err
	}
	typed, ok := value.(T)
	if !ok {
		return none, fmt.Errorf("%w: %T", errNoResource, value)
	}
	return typed, nil
}

// take is borrow for an argument that the component gave away: its destructor will not run.
func take[T any](in *Instance, handle any, kind Kind) (T, error) {
	value, err := borrow[T](in, handle, kind)
	if err == nil {
		_, err = in.table.remove(handle.(cm.Resource).Rep)
	}
	return value, err
}

// dropper is a resource that wants to know that the component let it go.
type dropper interface{ drop() }

// Drop is the destructor of every resource.
func (in *Instance) Drop(rep uint32) error {
	value, err := in.table.remove(rep)
	if err != nil {
		return err
	}
	if d, ok := value.(dropper); ok {
		d.drop()
	}
	return nil
}
