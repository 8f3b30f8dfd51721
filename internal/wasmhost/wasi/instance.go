package wasi

import (
	"context"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// Func is a function offered to components. An error traps the component.
type Func func(in *Instance, args []any) (any, error)

// Interface is what the host offers under one name.
type Interface struct {
	Functions map[string]Func
	Resources map[string]Kind
}

// Host is what an instance gets from the host beside its request.
type Host struct {
	// Config returns the component's configuration as it is now.
	Config func() map[string]string
	// Secret returns a secret of the component, a string or a []byte.
	Secret func(name string) (value any, ok bool)
	// Log takes what the component logs; level is one of wasi:logging's, and "stdout" or "stderr" for its streams.
	Log func(level, context, message string)
}

// Instance is the state behind one instance of a component.
type Instance struct {
	ctx      context.Context
	host     Host
	started  time.Time
	table    table
	exchange *Exchange
	// polls holds one pollable for each input stream: JavaScript subscribes eight times for each 64 KiB of a body and
	// never lets go.
	polls map[inputStream]*pollable
	// fieldBytes is what all fields of the component took so far.
	fieldBytes int
	stdout     lineLog
	stderr     lineLog
}

// NewInstance returns the state of an instance that lives until ctx is done.
func NewInstance(ctx context.Context, host Host) *Instance {
	if host.Config == nil {
		host.Config = func() map[string]string { return nil }
	}
	if host.Secret == nil {
		host.Secret = func(string) (any, bool) { return nil, false }
	}
	if host.Log == nil {
		host.Log = func(string, string, string) {}
	}
	in := &Instance{ctx: ctx, host: host, started: time.Now(), polls: map[inputStream]*pollable{}}
	in.stdout = lineLog{emit: func(line string) { host.Log("stdout", "", line) }}
	in.stderr = lineLog{emit: func(line string) { host.Log("stderr", "", line) }}
	return in
}

// Interrupted tells why the instance must stop, or nil.
func (in *Instance) Interrupted() error {
	if in.ctx.Err() != nil {
		return context.Cause(in.ctx)
	}
	return nil
}

// LastWords is the end of what the component wrote to its stderr: JavaScript says there why it died.
func (in *Instance) LastWords() string { return in.stderr.tail() }

// Close lets go of everything that the component still held.
func (in *Instance) Close() {
	for _, s := range in.table.slots {
		if d, ok := s.value.(dropper); ok {
			d.drop()
		}
	}
	in.table = table{}
	in.stdout.flushLine()
	in.stderr.flushLine()
}

// wait returns when ready is closed, or with the reason why the instance must stop.
func (in *Instance) wait(ready <-chan struct{}) error {
	if ready == nil {
		return nil
	}
	select {
	case <-ready:
		return nil
	case <-in.ctx.Done():
		return context.Cause(in.ctx)
	}
}

// Interfaces returns everything offered, by name without version.
func Interfaces() map[string]Interface {
	all := map[string]Interface{}
	for _, part := range []map[string]Interface{
		ioInterfaces(), clockInterfaces(), randomInterfaces(), cliInterfaces(), deniedInterfaces(),
		configInterfaces(), secretInterfaces(), httpInterfaces(),
	} {
		for name, i := range part {
			all[name] = i
		}
	}
	return all
}

// value adapts a function that has no error of its own.
func value(f func(in *Instance, args []any) any) Func {
	return func(in *Instance, args []any) (any, error) { return f(in, args), nil }
}

// constant offers a function that always answers the same.
func constant(v any) Func {
	return func(*Instance, []any) (any, error) { return v, nil }
}

// owned finishes a function whose result is a new resource.
func (in *Instance) owned(kind Kind, v any) (any, error) {
	r, err := in.own(kind, v)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// okOwned is owned for functions whose result is result<own<T>, ...>.
func (in *Instance) okOwned(kind Kind, v any) (any, error) {
	r, err := in.own(kind, v)
	if err != nil {
		return nil, err
	}
	return cm.OK(r), nil
}
