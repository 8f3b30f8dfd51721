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

//lint:ignore ST1005 wadm's text
var errExtraParts = errors.New("Found extra components of subject, ensure your manifest name consists of only alphanumeric characters, dashes, and underscores.")

// call is a subject taken apart: the operation and the application's name, where one is given.
type call struct {
	operation, name string
}

// subjects of one lattice.
type subjects struct{ base string }

func (s subjects) all() string  { return s.base + ".>" }
func (s subjects) list() string { return s.base + "." + category + ".list" }

// parse takes a subject of this lattice apart. The error is the message of the reply.
func (s subjects) parse(subject string) (call, error) {
	//lint:ignore ST1005 wadm's text
	unsupported := fmt.Errorf("Unsupported subject: %s", subject)
	tail, ok := strings.CutPrefix(subject, s.base+".")
	if !ok {
		return call{}, unsupported
	}
	parts := strings.Split(tail, ".")
	if len(parts) > 3 {
		//lint:ignore ST1005 wadm's text
		return call{}, fmt.Errorf("Invalid subject: %w", errExtraParts)
	}
	if len(parts) < 2 || parts[0] != category {
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
