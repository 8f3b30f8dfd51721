package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/flowcontrol"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/orchestrator"
	"github.com/trellis-operator/trellis/internal/secrets"
)

const (
	// eventSecretRefused is the reason of the Event on an application whose component was refused a secret.
	eventSecretRefused = "SecretRefused"
	// refusalPause is how long the same refusal is not told again; hosts ask again and again.
	refusalPause = time.Minute
	maxRefusals  = 1024
	// refusalRate and refusalBurst bound the Events of all applications together: whoever may publish in a lattice can make
	// refusals.
	refusalRate  = 1
	refusalBurst = 25
	// maxNote is less than what an Event may hold.
	maxNote = 900
)

var (
	_ secrets.Auditor = auditors{}
	_ secrets.Auditor = (*eventAuditor)(nil)
)

// auditors tells each of them.
type auditors []secrets.Auditor

func (a auditors) Decided(d secrets.Decision) {
	for _, auditor := range a {
		auditor.Decided(d)
	}
}

// eventAuditor tells the users of an application by an Event on it that one of its secrets was refused, and why. The
// reasons name Secrets and never hold a value.
type eventAuditor struct {
	find     func(lattice, name string) *oam.Application
	recorder orchestrator.Recorder
	now      func() time.Time
	budget   flowcontrol.PassiveRateLimiter

	mu   sync.Mutex
	told map[refusal]time.Time
}

type refusal struct {
	lattice, application, component, secret, field string
	kind                                           secrets.Kind
}

func newEventAuditor(find func(lattice, name string) *oam.Application, recorder orchestrator.Recorder) *eventAuditor {
	return &eventAuditor{
		find: find, recorder: recorder, now: time.Now, budget: flowcontrol.NewTokenBucketPassiveRateLimiter(refusalRate, refusalBurst),
		told: map[refusal]time.Time{},
	}
}

// denials are the answers that somebody who may change application, grant or Secret can do something about.
var denials = []secrets.Kind{secrets.Unauthorized, secrets.SecretNotFound, secrets.PolicyError, secrets.Other}

// Decided is that of secrets.Auditor.
func (a *eventAuditor) Decided(d secrets.Decision) {
	q := d.Question
	if d.Flood || !slices.Contains(denials, d.Kind) {
		return
	}
	app := a.find(q.Asker.Lattice, q.Application)
	if app == nil || !a.isNews(refusal{q.Asker.Lattice, q.Application, q.Entity.Subject, q.Key, q.Field, d.Kind}) {
		return
	}
	note := fmt.Sprintf("Secret %q, key %q, was refused to %s %q on host %s: %s", q.Key, q.Field, q.Entity.Kind, q.Entity.Name, q.HostID, d.Reason)
	if len(note) > maxNote {
		note = note[:maxNote] + "…"
	}
	a.recorder.Event(app, corev1.EventTypeWarning, eventSecretRefused, strings.ToValidUTF8(note, ""))
}

// isNews says whether a refusal is to be told now.
func (a *eventAuditor) isNews(r refusal) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if last, known := a.told[r]; known && now.Sub(last) < refusalPause || !a.budget.TryAccept() {
		return false
	}
	if len(a.told) >= maxRefusals {
		clear(a.told)
	}
	a.told[r] = now
	return true
}
