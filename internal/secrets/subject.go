package secrets

import (
	"fmt"
	"regexp"
	"strings"
)

// Subjects are <prefix>.v1alpha1.<backend>.<operation>.
const (
	// DefaultPrefix is that of hosts whose host group is not known.
	DefaultPrefix = "wasmcloud.secrets"
	// DefaultBackend is how manifests call this backend.
	DefaultBackend = "kube"

	version = "v1alpha1"
	// ofGroups ends a prefix that is followed by namespace and name of a host group.
	ofGroups = ".*.*"

	operationGet = "get"
	operationKey = "server_xkey"
)

var (
	prefixForm  = regexp.MustCompile(`^(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+(?:\.\*\.\*)?$`)
	backendForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	labelForm   = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$`)
	groupForm   = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$`)
)

// maxGroup is how long the name of a Kubernetes object may be.
const maxGroup = 253

// GroupPrefix is the prefix of the hosts of one host group, below a prefix that a server serves with ".*.*" after it. Names
// of Kubernetes have no '_': it stands for the '.', which separates the parts of a subject.
func GroupPrefix(prefix, namespace, group string) string {
	return prefix + "." + namespace + "." + strings.ReplaceAll(group, ".", "_")
}

// call is what a subject says.
type call struct {
	asker     Asker
	operation string
}

type subjects struct {
	lattice, backend string
	prefixes         []string
}

func newSubjects(lattice, backend string, prefixes []string) (subjects, error) {
	if !backendForm.MatchString(backend) {
		return subjects{}, fmt.Errorf("serve secrets of lattice %s: %q is no name of a backend; use ASCII letters, digits, - and _", lattice, backend)
	}
	for _, p := range prefixes {
		if !prefixForm.MatchString(p) {
			return subjects{}, fmt.Errorf("serve secrets of lattice %s: %q is no prefix; use words of ASCII letters, digits, - and _ with dots between, and .*.* at the end for host groups", lattice, p)
		}
	}
	return subjects{lattice: lattice, backend: backend, prefixes: prefixes}, nil
}

// queue is the group in which replicas share the requests.
func (s subjects) queue() string {
	return strings.TrimSuffix(s.prefixes[0], ofGroups) + "." + s.backend
}

// patterns are the subjects to subscribe to.
func (s subjects) patterns() []string {
	all := make([]string, 0, len(s.prefixes))
	for _, p := range s.prefixes {
		all = append(all, p+"."+version+"."+s.backend+".>")
	}
	return all
}

// parse reads a subject. It is not asked which subscription it came by: a subject has one meaning, told by the number of
// its words, so that no name of a namespace turns a request of a host group into another's.
func (s subjects) parse(subject string) (call, error) {
	for _, prefix := range s.prefixes {
		base, groups := strings.CutSuffix(prefix, ofGroups)
		words, below := strings.CutPrefix(subject, base+".")
		if !below {
			continue
		}
		parts := strings.Split(words, ".")
		c := call{asker: Asker{Lattice: s.lattice}}
		if groups {
			if len(parts) < 2 {
				continue
			}
			c.asker.Namespace, c.asker.Group = parts[0], strings.ReplaceAll(parts[1], "_", ".")
			parts = parts[2:]
		}
		if len(parts) != 3 || parts[0] != version || parts[1] != s.backend {
			continue
		}
		if groups && !isName(c.asker.Namespace, c.asker.Group) {
			return call{}, refuse(InvalidRequest, "the subject names no host group")
		}
		c.operation = parts[2]
		return c, nil
	}
	return call{}, refuse(InvalidRequest, "the subject has no operation of this protocol")
}

func isName(namespace, group string) bool {
	return labelForm.MatchString(namespace) && len(group) <= maxGroup && groupForm.MatchString(group)
}
