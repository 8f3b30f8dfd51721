//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The runbook of the store, word by word, in a pod of the operator: a backup is restored over the store that is there;
// nothing is served until somebody accepts, and what runs goes on all the while.
func TestBackupAndRestore(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	a.awaitReady(t)
	identity := func() string {
		return kubectl(t, "get", "application", a.name, "-n", a.namespace, "-o", "jsonpath={.metadata.uid} {.metadata.generation}")
	}
	before := identity()
	backup := inOperator(t, "", "backup", "-")
	if _, err := tryInOperator(t, backup, "restore", "-"); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Fatalf("a restore over objects: %v", err)
	}
	inOperator(t, backup, "restore", "-", "--replace")
	eventually(t, 30*time.Second, "the other store is noticed", func() error {
		_, err := try(t, "", "get", "applications", "-n", a.namespace)
		if err == nil || !strings.Contains(err.Error(), "StoreChanged") {
			return fmt.Errorf("kubectl get says %v", err)
		}
		return nil
	})
	a.awaitAnswer(t, time.Second, "Hello from Wasm!")
	eventually(t, 30*time.Second, "it is accepted", func() error {
		out, err := tryInOperator(t, "", "store", "accept")
		if err == nil && !strings.Contains(out, "accepted now") {
			err = fmt.Errorf("store accept says %q", out)
		}
		return err
	})
	eventually(t, 30*time.Second, "every replica serves the restored store", func() error { return storeServed(t) })
	if after := identity(); after != before {
		t.Errorf("uid and generation %s after the restore; want %s", after, before)
	}
	a.awaitReady(t)
	apply(t, a.namespace, a.greeting("Bonjour"))
	a.awaitAnswer(t, 30*time.Second, "Bonjour")
	if out := inOperator(t, "", "check", "--orphans"); strings.Contains(out, a.name) {
		t.Errorf("what runs has an owner, but check --orphans says\n%s", out)
	}
}

// storeServed asks every replica; the probes of their pods leave the store out.
func storeServed(t *testing.T) error {
	t.Helper()
	pods := strings.Fields(kubectl(t, "get", "pods", "-n", system, "-l", "app.kubernetes.io/component=operator", "-o", "jsonpath={.items[*].metadata.name}"))
	if len(pods) == 0 {
		return errors.New("there is no pod of the operator")
	}
	for _, pod := range pods {
		if _, err := try(t, "", "get", "--raw", "/api/v1/namespaces/"+system+"/pods/https:"+pod+":8443/proxy/readyz"); err != nil {
			return err
		}
	}
	return nil
}

// inOperator runs trellis in a pod of the operator.
func inOperator(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := tryInOperator(t, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryInOperator(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	return try(t, stdin, append([]string{"exec", "-i", "-n", system, "deploy/trellis", "--", "trellis"}, args...)...)
}
