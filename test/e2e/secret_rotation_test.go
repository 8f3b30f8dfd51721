//go:build e2e

package e2e

import (
	"crypto/rand"
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
	values := []string{"canary-" + strings.ToLower(rand.Text()), "canary-" + strings.ToLower(rand.Text())}
	a.text = strings.Replace(strings.Replace(a.text, exampleImage, secretReference, 1), "spec:\n", secretPolicy, 1)
	pushSigned(t)
	put := func(value string) {
		t.Helper()
		apply(t, a.namespace, "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\nstringData: {password: "+value+"}\n")
	}
	put(values[0])
	a.hosts(t)
	apply(t, a.namespace, fmt.Sprintf(secretGrant, a.namespace, a.name))
	apply(t, a.namespace, a.text)
	a.awaitSecret(t, values[0])
	a.awaitVersion(t)
	condition(t, a.namespace, "whc/hosts", "Ready", "True", "")
	before := a.componentStarts(t)

	put(values[1])
	a.awaitSecret(t, values[1])
	a.awaitVersion(t)
	if after := a.componentStarts(t); after != before || before == 0 {
		t.Errorf("components were started %d times before the change, and %d times after", before, after)
	}
	for _, value := range values {
		a.leaksNothing(t, value)
	}

	t.Run("without the grant", func(t *testing.T) {
		kubectl(t, "delete", "secretgrant", "app", "-n", a.namespace, "--timeout=30s")
		put(values[0])
		a.awaitState(t, "Denied", func(got string) bool { return strings.Contains(got, "SecretGrant") })
		a.awaitSecret(t, values[1]) // what it has it keeps
	})
	kubectl(t, "delete", "application", a.name, "-n", a.namespace, "--timeout=30s")
	awaitNothingLeft(t, a.name, 30*time.Second)
}

// awaitVersion waits until each host of the application has the version that the Secret has.
func (a *application) awaitVersion(t *testing.T) {
	t.Helper()
	version := kubectl(t, "get", "secret", "app", "-n", a.namespace, "-o", "jsonpath={.metadata.resourceVersion}")
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
