package secrets

import (
	"time"

	"github.com/go-logr/logr"
)

// Auditor is told of every request for a secret, once, before it is answered. It must not wait.
type Auditor interface {
	Decided(d Decision)
}

// Decision is what was asked and what was decided. It holds no value and no token.
type Decision struct {
	Time    time.Time
	Latency time.Duration
	Backend string
	// Question as far as it could be read.
	Question Question
	// Namespace where the value was read, if it was.
	Namespace string
	// Kind of the error that was answered; empty when the secret was given.
	Kind Kind
	// Reason of the error, with what the host is not told.
	Reason string
	// Flood: the request was refused unread, because there were too many.
	Flood bool
}

// LogAuditor writes a line for each decision.
type LogAuditor struct {
	log logr.Logger
}

var _ Auditor = LogAuditor{}

// NewLogAuditor returns an auditor that writes to log. Requests of a flood are written at level 1 only: who floods the
// backend should not flood the log too.
func NewLogAuditor(log logr.Logger) LogAuditor { return LogAuditor{log} }

// maxLogged bounds each value that somebody else chose.
const maxLogged = 256

// Decided is that of Auditor.
func (a LogAuditor) Decided(d Decision) {
	log := a.log
	if d.Flood {
		log = log.V(1)
	}
	decision := "given"
	if d.Kind != "" {
		decision = "refused"
	}
	q := d.Question
	log.Info("Secret requested", append([]any{
		"decision", decision, "kind", string(d.Kind), "reason", shorten(d.Reason, maxLogged), "at", d.Time.UTC().Format(time.RFC3339Nano), "latency", d.Latency.String(),
		"lattice", q.Asker.Lattice, "backend", d.Backend, "groupNamespace", q.Asker.Namespace, "group", q.Asker.Group,
		"doubt", shorten(q.Asker.Doubt, maxLogged), "namespace", d.Namespace},
		asked(q)...)...)
}

// asked are the words of the asker.
func asked(q Question) []any {
	texts := []string{
		"policyNamespace", q.Policy.Properties["namespace"], "secret", q.Key, "field", q.Field, "version", versionText(q.Version),
		"application", q.Application, "host", q.HostID, "entityKind", q.Entity.Kind, "entity", q.Entity.Subject,
		"issuer", q.Entity.Issuer, "entityName", q.Entity.Name, "hash", q.Entity.Hash,
	}
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = shorten(text, maxLogged)
	}
	return out
}

func versionText(v *string) string {
	if v == nil {
		return "latest"
	}
	return *v
}
