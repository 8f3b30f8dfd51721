package wasi

import (
	"errors"
	"io"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// chunk is the most that one call moves: values cross into a component one structure a byte, so more gains nothing.
const chunk = 64 << 10

// inputStream is a source of bytes. take never waits: no bytes and no error means "not yet"; io.EOF is the end.
type inputStream interface {
	take(n int) ([]byte, error)
	ready() <-chan struct{}
}

// outputStream is a sink. write takes everything or fails and may wait for the other side.
type outputStream interface {
	room() int
	write(p []byte) error
	flush() error
}

// ioError is the resource behind wasi:io/error.
type ioError struct{ err error }

func ioInterfaces() map[string]Interface {
	return map[string]Interface{
		"wasi:io/poll":    pollFunctions(),
		"wasi:io/streams": streamFunctions(),
		"wasi:io/error": {
			Resources: map[string]Kind{"error": KindError},
			Functions: map[string]Func{
				"[method]error.to-debug-string": func(in *Instance, args []any) (any, error) {
					e, err := borrow[*ioError](in, args[0], KindError)
					if err != nil {
						return nil, err
					}
					return e.err.Error(), nil
				},
			},
		},
	}
}

func streamFunctions() Interface {
	read := func(wait, count bool) Func {
		return func(in *Instance, args []any) (any, error) { return in.read(args, wait, count) }
	}
	write := func(flush bool) Func {
		return func(in *Instance, args []any) (any, error) {
			p, err := cm.Bytes(args[1])
			if err != nil {
				return nil, err
			}
			return in.write(args[0], p, flush)
		}
	}
	zeroes := func(flush bool) Func {
		return func(in *Instance, args []any) (any, error) {
			return in.write(args[0], make([]byte, min(args[1].(uint64), chunk)), flush)
		}
	}
	flush := func(in *Instance, args []any) (any, error) { return in.write(args[0], nil, true) }
	return Interface{
		Resources: map[string]Kind{"input-stream": KindInputStream, "output-stream": KindOutputStream},
		Functions: map[string]Func{
			"[method]input-stream.read":                             read(false, false),
			"[method]input-stream.blocking-read":                    read(true, false),
			"[method]input-stream.skip":                             read(false, true),
			"[method]input-stream.blocking-skip":                    read(true, true),
			"[method]input-stream.subscribe":                        subscribeInput,
			"[method]output-stream.check-write":                     checkWrite,
			"[method]output-stream.write":                           write(false),
			"[method]output-stream.blocking-write-and-flush":        write(true),
			"[method]output-stream.flush":                           flush,
			"[method]output-stream.blocking-flush":                  flush,
			"[method]output-stream.write-zeroes":                    zeroes(false),
			"[method]output-stream.blocking-write-zeroes-and-flush": zeroes(true),
			"[method]output-stream.subscribe":                       subscribeOutput,
			"[method]output-stream.splice":                          splice(false),
			"[method]output-stream.blocking-splice":                 splice(true),
		},
	}
}

// streamFailure is the error side of every stream function.
func (in *Instance) streamFailure(err error) (any, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		return cm.Err(cm.Variant{Case: "closed"}), nil
	}
	if stop := in.Interrupted(); stop != nil {
		return nil, stop
	}
	r, full := in.own(KindError, &ioError{err})
	if full != nil {
		return nil, full
	}
	return cm.Err(cm.Variant{Case: "last-operation-failed", Value: r}), nil
}

// next waits for bytes if asked to and takes at most n.
func (in *Instance) next(s inputStream, n uint64, wait bool) ([]byte, error) {
	for {
		p, err := s.take(int(min(n, chunk)))
		if len(p) > 0 || err != nil || !wait || n == 0 {
			return p, err
		}
		if err := in.wait(s.ready()); err != nil {
			return nil, err
		}
	}
}

func (in *Instance) read(args []any, wait, count bool) (any, error) {
	s, err := borrow[inputStream](in, args[0], KindInputStream)
	if err != nil {
		return nil, err
	}
	p, err := in.next(s, args[1].(uint64), wait)
	if err != nil {
		return in.streamFailure(err)
	}
	if count {
		return cm.OK(uint64(len(p))), nil
	}
	return cm.OK(p), nil
}

func (in *Instance) write(handle any, p []byte, flush bool) (any, error) {
	s, err := borrow[outputStream](in, handle, KindOutputStream)
	if err != nil {
		return nil, err
	}
	if len(p) > 0 {
		err = s.write(p)
	}
	if err == nil && flush {
		err = s.flush()
	}
	if err != nil {
		return in.streamFailure(err)
	}
	return cm.OK(nil), nil
}

func checkWrite(in *Instance, args []any) (any, error) {
	s, err := borrow[outputStream](in, args[0], KindOutputStream)
	if err != nil {
		return nil, err
	}
	return cm.OK(uint64(s.room())), nil
}

func splice(wait bool) Func {
	return func(in *Instance, args []any) (any, error) {
		to, err := borrow[outputStream](in, args[0], KindOutputStream)
		if err != nil {
			return nil, err
		}
		from, err := borrow[inputStream](in, args[1], KindInputStream)
		if err != nil {
			return nil, err
		}
		p, err := in.next(from, min(args[2].(uint64), uint64(to.room())), wait)
		if err == nil && len(p) > 0 {
			err = to.write(p)
		}
		if err != nil {
			return in.streamFailure(err)
		}
		return cm.OK(uint64(len(p))), nil
	}
}

func subscribeInput(in *Instance, args []any) (any, error) {
	s, err := borrow[inputStream](in, args[0], KindInputStream)
	if err != nil {
		return nil, err
	}
	p := in.polls[s]
	if p == nil {
		p = &pollable{ready: s.ready}
		in.polls[s] = p
	}
	return in.owned(KindPollable, p)
}

func subscribeOutput(in *Instance, args []any) (any, error) {
	if _, err := borrow[outputStream](in, args[0], KindOutputStream); err != nil {
		return nil, err
	}
	return in.owned(KindPollable, readyNow)
}
