package secrets

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
)

// slot is a place among the requests that are worked on. It is free again when the last who uses it has left: a Keeper
// that goes on after the deadline keeps its place.
type slot struct {
	users atomic.Int32
	free  func()
}

func (s *slot) enter() { s.users.Add(1) }

func (s *slot) leave() {
	if s.users.Add(-1) == 0 {
		s.free()
	}
}

// await returns what call returns, or the error of ctx when that ends earlier: the host must hear something. A panic is
// an error.
func await[T any](ctx context.Context, place *slot, call func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	place.enter()
	go func() {
		defer place.leave()
		var r result
		if err := try(func() { r.value, r.err = call(ctx) }); err != nil {
			r.err = err
		}
		results <- r
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// panicError tells where something panicked. What it panicked with may hold a value and is left out, and so are the
// arguments of a printed stack.
type panicError struct {
	what   string
	frames []string
}

func (e *panicError) Error() string { return e.what }

// try calls f and turns a panic into an error.
func try(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{what: describe(p), frames: frames()}
		}
	}()
	f()
	return nil
}

func describe(p any) string {
	var failed runtime.Error
	if err, ok := p.(error); ok && errors.As(err, &failed) {
		return failed.Error() // numbers and types
	}
	return fmt.Sprintf("a panic with a %T", p)
}

func frames() []string {
	const skipped, most = 4, 24 // this file and the panic itself
	callers := make([]uintptr, most)
	found := runtime.CallersFrames(callers[:runtime.Callers(skipped, callers)])
	var lines []string
	for {
		frame, more := found.Next()
		lines = append(lines, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		if !more {
			return lines
		}
	}
}
