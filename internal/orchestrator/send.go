package orchestrator

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// send turns a command into a request.
func (s *session) send(c scaler.Command) error {
	control, ctx := s.config.Control, s.ctx
	switch c.Verb {
	case scaler.PutConfig:
		return control.PutConfig(ctx, c.ID, c.Values)
	case scaler.DeleteConfig:
		return control.DeleteConfig(ctx, c.ID)
	case scaler.PutLink:
		return control.PutLink(ctx, *c.Link)
	case scaler.DeleteLink:
		return control.DeleteLink(ctx, c.Link.Key())
	case scaler.StartProvider:
		return control.StartProvider(ctx, lattice.StartProvider{
			ProviderID: c.ID, ProviderRef: c.Image, HostID: c.Host, Config: c.Config, Annotations: c.Annotations,
		})
	case scaler.StopProvider:
		return control.StopProvider(ctx, c.Host, c.ID)
	case scaler.Update:
		_, err := control.UpdateComponent(ctx, lattice.UpdateComponent{
			ComponentID: c.ID, NewComponentRef: c.Image, HostID: c.Host, Annotations: c.Annotations,
		})
		return err
	default:
		_, err := control.ScaleComponent(ctx, lattice.ScaleComponent{
			ComponentID: c.ID, ComponentRef: c.Image, Count: c.Count, HostID: c.Host, Config: c.Config, Annotations: c.Annotations,
		})
		return err
	}
}

// isUnsupported recognises the answer of a host that has no such command.
func isUnsupported(err error) bool {
	return strings.Contains(err.Error(), lattice.MessageUnsupportedSubject)
}

// isAbsent recognises the answer of a host that does not run the component.
func isAbsent(id string, err error) bool {
	return strings.Contains(err.Error(), lattice.MessageComponentAbsent(id))
}

// outcomeUnknown says whether a command that failed may have been carried out, or may yet be.
func outcomeUnknown(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// slots bound the commands under way: for a host, for the lattice, and one at a time for the links of a source, because
// hosts write a source's links without comparing.
type slots struct {
	perHost int
	lattice chan struct{}
	mu      *sync.Mutex
	rooms   map[string]*room
}

// room is a bound for one host or source; it exists while somebody is in it or waits for it.
type room struct {
	seats chan struct{}
	users int
}

func newSlots(perHost, perLattice int) slots {
	return slots{perHost: perHost, lattice: make(chan struct{}, perLattice), mu: &sync.Mutex{}, rooms: map[string]*room{}}
}

// take waits for a slot; false when ctx ended before.
func (s slots) take(ctx context.Context, c scaler.Command) (release func(), ok bool) {
	name, size := "host/"+c.Host, s.perHost
	if c.Link != nil {
		name, size = "source/"+c.Link.SourceID, 1
	} else if c.Host == "" {
		name, size = "config/"+c.ID, 1
	}
	r := s.enter(name, size)
	// The narrow one first: who waits for a slow host must not keep the lattice's slots from others.
	select {
	case r.seats <- struct{}{}:
	case <-ctx.Done():
		s.leave(name)
		return nil, false
	}
	select {
	case s.lattice <- struct{}{}:
	case <-ctx.Done():
		<-r.seats
		s.leave(name)
		return nil, false
	}
	return func() {
		<-s.lattice
		<-r.seats
		s.leave(name)
	}, true
}

func (s slots) enter(name string, size int) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &room{seats: make(chan struct{}, size)}
		s.rooms[name] = r
	}
	r.users++
	return r
}

func (s slots) leave(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[name]; r != nil {
		if r.users--; r.users == 0 {
			delete(s.rooms, name)
		}
	}
}
