package wadmapi

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// sentStatuses remembers the last status that was published of each application, because one that says nothing new is
// not published again.
type sentStatuses struct {
	mu   sync.Mutex
	last map[string]string
}

func (s *sentStatuses) changed(name, status string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last[name] == status {
		return false
	}
	s.last[name] = status
	return true
}

// forget makes the next status count as new.
func (s *sentStatuses) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, name)
}

// FollowStatus listens to what other replicas publish, until ctx ends, so that the one that acts next repeats nothing.
// exists says whether the lattice has an application.
func (s *Server) FollowStatus(ctx context.Context, exists func(name string) bool) error {
	prefix := fmt.Sprintf(statusSubjectFormat, s.config.Lattice, "")
	sub, err := s.config.Conn.Subscribe(prefix+"*", func(msg *nats.Msg) {
		name := strings.TrimPrefix(msg.Subject, prefix)
		if !exists(name) {
			s.sent.forget(name)
			return
		}
		s.sent.changed(name, string(msg.Data))
	})
	if err != nil {
		return fmt.Errorf("listen to the status of applications of lattice %s: %w", s.config.Lattice, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // fails only when the connection is closed
	return nil
}

// PublishStatus publishes the status of an application of the lattice on `wadm.status.<lattice>.<name>`, if it differs
// from the last one that was published, here or by a replica that FollowStatus heard. gone says that the application was
// deleted. Call it for every change that the shared informer reports, in the one process of the installation that acts on
// the lattice, and for all applications when a process begins to act.
func (s *Server) PublishStatus(ctx context.Context, app *oam.Application, gone bool) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	status := plainStatus(statusUndeployed, textIsUndeployed)
	if !gone {
		now, err := s.running(ctx, app)
		if err != nil {
			return fmt.Errorf("publish the status of %s: %w", app.Name, err)
		}
		var spec *oam.ApplicationSpec
		if now != nil {
			spec = now.spec
		}
		status = newStatus(app, spec, false)
	}
	data, err := encode(status)
	if err != nil {
		return fmt.Errorf("publish the status of %s: %w", app.Name, err)
	}
	if !s.sent.changed(app.Name, string(data)) {
		return nil
	}
	if err := s.config.Conn.Publish(fmt.Sprintf(statusSubjectFormat, s.config.Lattice, app.Name), data); err != nil {
		s.sent.forget(app.Name)
		return fmt.Errorf("publish the status of %s: %w", app.Name, err)
	}
	if gone {
		s.sent.forget(app.Name)
	}
	return nil
}
