//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// What users and pipelines do with kubectl, beyond apply and delete. None of it needs a host: the applications stay
// without one.

func TestDiff(t *testing.T) {
	a := newApplication(t, "application.yaml")
	apply(t, a.namespace, a.text)
	file, changed := writeFile(t, a.text), writeFile(t, a.greeting("Bonjour"))
	for _, how := range []string{"--server-side=false", "--server-side=true"} {
		t.Run(how, func(t *testing.T) {
			if out, err := try(t, "", "diff", "-n", a.namespace, how, "--force-conflicts="+fmt.Sprint(how == "--server-side=true"), "-f", file); err != nil {
				t.Errorf("the file that was applied differs: %v\n%s", err, out)
			}
			out, err := try(t, "", "diff", "-n", a.namespace, how, "--force-conflicts="+fmt.Sprint(how == "--server-side=true"), "-f", changed)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "+          greeting: Bonjour") {
				t.Errorf("diff of a changed file: %v\n%s", err, out)
			}
		})
	}
	if got := kubectl(t, "get", "application", a.name, "-n", a.namespace, "-o", "jsonpath={.metadata.generation}"); got != "1" {
		t.Errorf("generation %s after four diffs; want 1", got)
	}
}

// A dry run of every verb changes nothing.
func TestDryRun(t *testing.T) {
	a := newApplication(t, "application.yaml")
	file := writeFile(t, a.text)
	version := func() string {
		return kubectl(t, "get", "applications,applicationrevisions", "-n", a.namespace, "-o", "jsonpath={.items[*].metadata.resourceVersion}")
	}
	kubectl(t, "create", "-n", a.namespace, "-f", file, "--dry-run=server")
	kubectl(t, "apply", "-n", a.namespace, "-f", file, "--dry-run=server")
	kubectl(t, "apply", "-n", a.namespace, "-f", file, "--dry-run=server", "--server-side")
	if got := version(); got != "" {
		t.Fatalf("a dry run made objects of versions %s", got)
	}
	apply(t, a.namespace, a.text)
	before := settled(t, version)
	kubectl(t, "replace", "-n", a.namespace, "-f", writeFile(t, a.greeting("Bonjour")), "--dry-run=server")
	kubectl(t, "patch", "application", a.name, "-n", a.namespace, "--type=merge", "-p", `{"metadata":{"labels":{"a":"b"}}}`, "--dry-run=server")
	kubectl(t, "annotate", "application", a.name, "-n", a.namespace, "a=b", "--dry-run=server")
	kubectl(t, "delete", "application", a.name, "-n", a.namespace, "--dry-run=server")
	if after := version(); after != before {
		t.Errorf("versions %s after dry runs; want %s", after, before)
	}
}

// settled waits until what f returns stays the same: the orchestrator writes a status after an apply.
func settled(t *testing.T, f func() string) (last string) {
	t.Helper()
	same := 0
	eventually(t, 30*time.Second, "nothing changes", func() error {
		now := f()
		if now != last {
			last, same = now, 0
		} else {
			same++
		}
		if same < 10 {
			return errors.New("it still changes")
		}
		return nil
	})
	return last
}

// apply --prune deletes what is not in the set any more, and nothing else.
func TestPrune(t *testing.T) {
	a := newApplication(t, "application.yaml")
	other := strings.ReplaceAll(a.text, "name: "+a.name+"\n", "name: other\n")
	other = strings.ReplaceAll(other, fmt.Sprint(":", a.port), fmt.Sprint(":", 20000+a.port))
	label := func(manifest string) string {
		return strings.Replace(manifest, "metadata:\n", "metadata:\n  labels: {set: one}\n", 1)
	}
	apply(t, a.namespace, strings.Replace(other, "name: other\n", "name: unlabelled\n", 1))
	prune := []string{"apply", "-n", a.namespace, "--prune", "-l", "set=one", "--prune-allowlist=core.oam.dev/v1beta1/Application", "-f"}
	kubectl(t, append(prune, writeFile(t, label(a.text)+"\n---\n"+label(other)))...)
	out := kubectl(t, append(prune, writeFile(t, label(a.text)))...)
	if !strings.Contains(out, "other pruned") {
		t.Errorf("apply --prune said %q", out)
	}
	got := strings.Fields(kubectl(t, "get", "applications", "-n", a.namespace, "-o", "jsonpath={.items[*].metadata.name}"))
	if want := []string{a.name, "unlabelled"}; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("applications %v after prune; want %v", got, want)
	}
}

// An application goes with its owner, by the garbage collector of Kubernetes; with --cascade=foreground before it.
func TestOwnerReferences(t *testing.T) {
	for _, cascade := range []string{"background", "foreground"} {
		t.Run(cascade, func(t *testing.T) {
			a := newApplication(t, "application.yaml")
			kubectl(t, "create", "configmap", "owner", "-n", a.namespace)
			uid := kubectl(t, "get", "configmap", "owner", "-n", a.namespace, "-o", "jsonpath={.metadata.uid}")
			apply(t, a.namespace, strings.Replace(a.text, "metadata:\n",
				"metadata:\n  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: "+uid+", blockOwnerDeletion: true}]\n", 1))
			kubectl(t, "delete", "configmap", "owner", "-n", a.namespace, "--cascade="+cascade, "--timeout=60s")
			kubectl(t, "wait", "application/"+a.name, "-n", a.namespace, "--for=delete", "--timeout=60s")
		})
	}
}

// kubectl explain reads well down to the traits.
func TestExplain(t *testing.T) {
	out := kubectl(t, "explain", "application.spec.components.traits", "--recursive")
	for _, want := range []string{"KIND:       Application", "spreadscaler", "properties", "FIELDS:"} {
		if !strings.Contains(out, want) {
			t.Errorf("kubectl explain does not say %q:\n%s", want, out)
		}
	}
	for _, field := range []string{"application.spec", "application.status.conditions", "whc.spec.lattice", "applicationrevision.spec"} {
		if out := kubectl(t, "explain", field); !strings.Contains(out, "DESCRIPTION:") || strings.Contains(out, "<empty>") {
			t.Errorf("kubectl explain %s has no description:\n%s", field, out)
		}
	}
}
