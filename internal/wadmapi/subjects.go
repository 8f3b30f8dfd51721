package wadmapi

import (
	"errors"
	"fmt"
	"strings"
)

// Subjects and names that wadm fixed.
const (
	// DefaultPrefix of the API's subjects.
	DefaultPrefix = "wadm.api"
	queueGroup    = "wadm_server"
	category      = "model"

	// VersionHeader is on every reply of Trellis: an answer without it comes from wadm.
	VersionHeader     = "Trellis-Version"
	contentTypeHeader = "Content-Type"

	eventSubjectFormat  = "wadm.evt.%s.%s"
	statusSubjectFormat = "wadm.status.%s.%s"
)

// Subjects that wadm can't take apart. Those without a lattice never reach a server of one lattice.
var (
	//lint:ignore ST1005 wadm's text
	errExtraParts = errors.New("Found extra components of subject, ensure your manifest name consists of only alphanumeric characters, dashes, and underscores.")
	//lint:ignore ST1005 wadm's text
	errNoOperation = errors.New("Expected to find operation")
)

// call is a subject taken apart: the operation and the application's name, where one is given.
type call struct {
	operation, name string
}

// subjects of one lattice: each base is followed by category, operation and, where there is one, a name. The second base
// begins with an account.
type subjects struct{ bases []string }

func (s subjects) all() []string { return s.each(".>") }

// lists are the subjects by which to find out who serves the lattice.
func (s subjects) lists() []string { return s.each("." + category + ".list") }

func (s subjects) each(tail string) []string {
	out := make([]string, len(s.bases))
	for i, base := range s.bases {
		out[i] = base + tail
	}
	return out
}

// tail is what follows the base of a subject.
func (s subjects) tail(subject string) (string, bool) {
	for _, base := range s.bases {
		if tail, ok := strings.CutPrefix(subject, base+"."); ok {
			return tail, true
		}
	}
	return "", false
}

// parse takes a subject of this lattice apart. The error is the message of the reply.
func (s subjects) parse(subject string) (call, error) {
	//lint:ignore ST1005 wadm's text
	unsupported := fmt.Errorf("Unsupported subject: %s", subject)
	tail, ok := s.tail(subject)
	if !ok {
		return call{}, unsupported
	}
	parts := strings.Split(tail, ".")
	switch {
	case len(parts) > 3:
		return call{}, invalidSubject(errExtraParts)
	case len(parts) < 2:
		return call{}, invalidSubject(errNoOperation)
	case parts[0] != category:
		return call{}, unsupported
	}
	c := call{operation: parts[1]}
	if len(parts) == 3 {
		c.name = parts[2]
	}
	want, known := operations[c.operation]
	if !known || want == nameRequired && c.name == "" || want == nameRefused && c.name != "" {
		return call{}, unsupported
	}
	return c, nil
}

//lint:ignore ST1005 wadm's text
func invalidSubject(why error) error { return fmt.Errorf("Invalid subject: %w", why) }

type nameRule int

const (
	nameRefused nameRule = iota + 1
	nameOptional
	nameRequired
)

var operations = map[string]nameRule{
	"put": nameRefused, "list": nameRefused, "get": nameOptional, "versions": nameRequired, "status": nameRequired,
	"del": nameRequired, "deploy": nameRequired, "undeploy": nameRequired, "history": nameRequired,
}
