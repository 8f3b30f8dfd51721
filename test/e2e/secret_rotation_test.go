//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	// rotatedWithin is how long the status may take to say that a value has arrived.
	rotatedWithin = 90 * time.Second
	// componentRuns is what trellis-host logs at each start of a component.
	componentRuns = "A component runs"
)

// A value that changes in Kubernetes comes to the component that runs, and nothing is started for it. The status says which
// version it has, and never the value.
func TestASecretChanges(t *testing.T) {
	a := newApplication(t, "application.yaml")
	pushSigned(t, secretImage, signedBy("e2e secret", "secret"))
	a.hosts(t)
	vault := makeNamespace(t)
	put := func() (canary string) { return makeSecret(t, vault) }
	value := put()
	apply(t, vault, fmt.Sprintf(secretGrant, a.namespace, a.name))
	a.getsSecret(t, a.withSecret("backend: kube, namespace: "+vault), value)
	a.awaitVersion(t, vault)
	condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
	before := a.componentStarts(t)

	value = put()
	a.awaitSecret(t, value)
	a.awaitVersion(t, vault)
	if after := a.componentStarts(t); after != before || before == 0 {
		t.Errorf("components were started %d times before the change, and %d times after", before, after)
	}
	nowhere(t, canaryPrefix)

	t.Run("without the grant", func(t *testing.T) {
		kubectl(t, "delete", "secretgrant", "app", "-n", vault, "--timeout=30s")
		put()
		a.awaitState(t, "Denied", func(got string) bool { return strings.Contains(got, "SecretGrant") })
		a.awaitSecret(t, value) // what it has it keeps
	})
	a.remove(t)
}

// awaitVersion waits until each host of the application has the version that the Secret has.
func (a *application) awaitVersion(t *testing.T, namespace string) {
	t.Helper()
	version := kubectl(t, "get", "secret", "app", "-n", namespace, "-o", "jsonpath={.metadata.resourceVersion}")
	a.awaitState(t, "Resolved", func(got string) bool {
		fields := strings.Fields(got)
		for _, host := range fields {
			if host != version {
				return false
			}
		}
		return len(fields) > 0
	})
}

// awaitState waits until the one secret of the application is in a state, with the versions of its hosts and its message as
// wanted.
func (a *application) awaitState(t *testing.T, state string, ok func(rest string) bool) {
	t.Helper()
	eventually(t, rotatedWithin, "the status says that the secret is "+state, func() error {
		out, err := try(t, "", "get", "application", a.name, "-n", a.namespace, "-o",
			"jsonpath={.status.secrets[0].state} {.status.secrets[0].hosts[*].version} {.status.secrets[0].message}")
		if rest, is := strings.CutPrefix(out, state+" "); err == nil && !(is && ok(rest)) {
			err = fmt.Errorf("status: %q", out)
		}
		return err
	})
}

// componentStarts counts the starts of components in the logs of the hosts.
func (a *application) componentStarts(t *testing.T) int {
	t.Helper()
	return strings.Count(kubectl(t, "logs", "-n", a.namespace, "-l", "app.kubernetes.io/name=wasmcloud", "--all-containers", "--tail=-1"), componentRuns)
}
