package wasi

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

var errEmptyPoll = errors.New("the component polled an empty list")

// pollable becomes ready when the channel that ready returns is closed; nil means that it is ready now.
type pollable struct {
	ready func() <-chan struct{}
	stop  func()
}

func (p *pollable) drop() {
	if p.stop != nil {
		p.stop()
	}
}

func (p *pollable) isReady() bool {
	ready := p.ready()
	if ready == nil {
		return true
	}
	select {
	case <-ready:
		return true
	default:
		return false
	}
}

func always() <-chan struct{} { return nil }

// readyNow is the pollable of everything that never makes anybody wait.
var readyNow = &pollable{ready: always}

// timer is ready after d.
func timer(d time.Duration) *pollable {
	fired := make(chan struct{})
	t := time.AfterFunc(d, func() { close(fired) })
	return &pollable{ready: func() <-chan struct{} { return fired }, stop: func() { t.Stop() }}
}

func pollFunctions() Interface {
	return Interface{
		Resources: map[string]Kind{"pollable": KindPollable},
		Functions: map[string]Func{
			"[method]pollable.ready": func(in *Instance, args []any) (any, error) {
				p, err := borrow[*pollable](in, args[0], KindPollable)
				if err != nil {
					return nil, err
				}
				return p.isReady(), nil
			},
			"[method]pollable.block": func(in *Instance, args []any) (any, error) {
				p, err := borrow[*pollable](in, args[0], KindPollable)
				if err != nil {
					return nil, err
				}
				return nil, in.wait(p.ready())
			},
			"poll": poll,
		},
	}
}

func poll(in *Instance, args []any) (any, error) {
	handles, err := cm.Items(args[0])
	if err != nil {
		return nil, err
	}
	if len(handles) == 0 {
		return nil, errEmptyPoll
	}
	list := make([]*pollable, len(handles))
	for i, handle := range handles {
		if list[i], err = borrow[*pollable](in, handle, KindPollable); err != nil {
			return nil, err
		}
	}
	for {
		if ready := readyOnes(list); len(ready) > 0 {
			return ready, nil
		}
		if err := in.waitAny(list); err != nil {
			return nil, err
		}
	}
}

func readyOnes(list []*pollable) cm.List {
	var ready cm.List
	for i, p := range list {
		if p.isReady() {
			ready = append(ready, uint32(i))
		}
	}
	return ready
}

func (in *Instance) waitAny(list []*pollable) error {
	cases := make([]reflect.SelectCase, 0, len(list)+1)
	add := func(c <-chan struct{}) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
	}
	for _, p := range list {
		ready := p.ready()
		if ready == nil {
			return nil
		}
		add(ready)
	}
	add(in.ctx.Done())
	if chosen, _, _ := reflect.Select(cases); chosen == len(cases)-1 {
		return context.Cause(in.ctx)
	}
	return nil
}
