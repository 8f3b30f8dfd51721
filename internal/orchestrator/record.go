package orchestrator

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

const (
	// statusPause is the least time between two writes for one application that change no condition.
	statusPause = time.Second
	// echoWait is how long a written status may take to come back to us before it is taken for lost.
	echoWait   = 10 * time.Second
	writeRetry = 250 * time.Millisecond
	writeMax   = 10 * time.Second
	// writesAtOnce bounds the writes of status under way. When thousands of applications change, what keeps hosts and
	// endpoints right must not share the processor with all that there is to say of it.
	writesAtOnce = 8
)

// statusState is what was written for one application, and when.
type statusState struct {
	// planned says that the outcome is one of the present edition.
	planned  bool
	writing  bool
	sent     *v1beta1.ApplicationStatus
	sentAt   time.Time
	failures int
	timer    *time.Timer
	// version is the resourceVersion that our last write made, replaced are those that it and our writes before it took the
	// place of: the next write need not wait until the watch brings what we wrote.
	version  string
	replaced []string
}

func (st *statusState) stop() {
	if st.timer != nil {
		st.timer.Stop()
		st.timer = nil
	}
}

// sameStatus compares all but transition times.
func sameStatus(a, b *v1beta1.ApplicationStatus) bool {
	if !conditions.Equal(a.Conditions, b.Conditions) {
		return false
	}
	x, y := *a, *b
	x.Conditions, y.Conditions = nil, nil
	return equality.Semantic.DeepEqual(x, y)
}

// statusSeen compares what came back with what was written.
func (s *session) statusSeen(a *appState) {
	if a.status.sent != nil && sameStatus(a.status.sent, &a.app.Status) {
		a.status.sent = nil
	}
	if a.status.planned {
		s.recordStatus(a)
	}
}

// recordStatus writes the status if it changed: at once when a condition did, else at most once in statusPause.
func (s *session) recordStatus(a *appState) {
	if a.choosing {
		return // nobody may take what runs of the version before for the one that is wanted now
	}
	a.status.planned = true
	if a.status.writing {
		return
	}
	a.status.stop()
	now := time.Now()
	if a.status.sent != nil && now.Sub(a.status.sentAt) > echoWait {
		a.status.sent = nil
	}
	known := &a.app.Status
	if a.status.sent != nil {
		known = a.status.sent
	}
	want := s.describe(a)
	if sameStatus(want, known) {
		if a.status.sent != nil {
			// It may never come back: a store that was restored meanwhile does not have it.
			a.status.timer = s.after(echoWait-now.Sub(a.status.sentAt)+time.Millisecond, func() { s.recordAgain(a) })
		}
		return
	}
	wait := time.Duration(0)
	if conditions.Equal(want.Conditions, known.Conditions) {
		wait = statusPause - now.Sub(a.status.sentAt)
	}
	if a.status.failures > 0 {
		wait = min(writeRetry<<min(a.status.failures-1, 8), writeMax) - now.Sub(a.status.sentAt)
	}
	if wait > 0 {
		a.status.timer = s.after(wait, func() { s.recordAgain(a) })
		return
	}
	if s.writes == writesAtOnce {
		s.unwritten.add(a.key)
		return
	}
	s.writeStatus(a, known, want)
}

func (s *session) recordAgain(a *appState) {
	if s.apps[a.key] == a && a.status.planned {
		s.recordStatus(a)
	}
}

// recordNext goes on with an application whose turn it was not.
func (s *session) recordNext() {
	for s.writes < writesAtOnce {
		key, ok := s.unwritten.pop()
		if !ok {
			return
		}
		if a := s.apps[key]; a != nil {
			s.recordAgain(a)
		}
	}
}

func (s *session) writeStatus(a *appState, known, want *v1beta1.ApplicationStatus) {
	app := a.app.DeepCopy()
	if slices.Contains(a.status.replaced, app.ResourceVersion) {
		app.ResourceVersion = a.status.version
	} else {
		a.status.replaced = nil
	}
	replaced := app.ResourceVersion
	app.Status = *want
	a.status.writing, a.status.sentAt = true, time.Now()
	s.writes++
	s.spawn(func() {
		err := s.config.Applications.UpdateStatus(s.ctx, app)
		s.meter.recorded(err)
		s.post(func() {
			a.status.writing = false
			s.writes--
			if err != nil {
				a.status.failures++
				s.log.V(1).Info("The status of an application was not written; trying again",
					"namespace", a.key.namespace, "name", a.key.name, "reason", err.Error())
			} else {
				a.status.failures, a.status.sent = 0, want
				a.status.replaced, a.status.version = append(a.status.replaced, replaced), app.ResourceVersion
				s.tell(a, known, want)
			}
			s.recordNext()
			s.recordAgain(a)
		})
	})
}
