package hostgroup

import (
	"errors"
	"fmt"
	"time"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// ErrLoginRefused: NATS does not accept the login of the group, with which the operator looks at the lattice.
var ErrLoginRefused = errors.New("the login is refused")

// problem is why a group can't be carried out now: one condition with its reason and a message that says what to do.
type problem struct {
	condition string
	reason    string
	message   string
	// retry is when to look again; zero means when something changes.
	retry time.Duration
}

// Error returns the message.
func (p *problem) Error() string { return p.message }

// lookAgain is how soon a missing Secret is looked for again: Secrets are not watched, so that the operator needs no
// right to list them.
const lookAgain = 5 * time.Second

// Other pauses before a look at what is not watched.
const (
	// checkInputs is how soon changed Secrets and ConfigMaps of the user are noticed.
	checkInputs = 30 * time.Second
	// retryIssuer is for keys that a later run of the chart brings.
	retryIssuer = 30 * time.Second
	// retryRefused is for objects that quota or policy refused.
	retryRefused = time.Minute
)

func invalid(reason, format string, args ...any) *problem {
	return &problem{condition: v1alpha1.ConditionValid, reason: reason, message: fmt.Sprintf(format, args...)}
}

func missing(reason, format string, args ...any) *problem {
	return &problem{condition: v1alpha1.ConditionCredentials, reason: reason, message: fmt.Sprintf(format, args...), retry: lookAgain}
}

// terminal says which reasons only a user can mend.
func terminal(reason string) bool {
	switch reason {
	case v1alpha1.ReasonInvalidLattice, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonInvalidTemplate,
		v1alpha1.ReasonLatticeNotPermitted, v1alpha1.ReasonNameTaken, v1alpha1.ReasonSecretNotFound,
		v1alpha1.ReasonSecretIncomplete, v1alpha1.ReasonNoIssuer, v1alpha1.ReasonRefused:
		return true
	}
	return false
}
