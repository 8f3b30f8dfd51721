//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// drained is how many requests have to be answered while hosts come and go.
	drained = 10_000
	// visitors ask at the same time, each some distance after its last answer.
	visitors = 16
	distance = 20 * time.Millisecond
)

// Hosts leave, because their node is drained, because their group rolls, and because it becomes a DaemonSet and a
// Deployment again: whoever asks through the Service does not notice.
func TestNoRequestIsLost(t *testing.T) {
	a := newApplication(t, "application.yaml")
	a.hosts(t)
	a.scale(t, 3)
	apply(t, a.namespace, a.text)
	a.awaitAnswer(t, 90*time.Second, "Hello from Wasm!")
	a.awaitEndpoints(t, 90*time.Second, 3)
	url, err := a.url(t)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("a node is drained", func(t *testing.T) {
		leave := a.emptyNode(t)
		everyAnswer(t, url, func() {
			leave()
			a.awaitEndpoints(t, 2*time.Minute, 3)
		})
	})
	t.Run("the group rolls", func(t *testing.T) {
		before := a.podsOfGroup(t)
		everyAnswer(t, url, func() {
			kubectl(t, "patch", "whc", "hosts", "-n", a.namespace, "--type=merge", "-p", `{"spec":{"hostLabels":{"rolled":"yes"}}}`)
			eventually(t, 4*time.Minute, "all pods are replaced", func() error {
				now := a.podsOfGroup(t)
				if left := slices.DeleteFunc(now, func(pod string) bool { return !slices.Contains(before, pod) }); len(left) > 0 {
					return fmt.Errorf("still there: %v", left)
				}
				return nil
			})
			a.awaitEndpoints(t, time.Minute, 3)
		})
	})
	t.Run("DaemonSet and Deployment again", func(t *testing.T) {
		everyAnswer(t, url, func() {
			for _, daemonset := range []bool{true, false} {
				kubectl(t, "patch", "whc", "hosts", "-n", a.namespace, "--type=merge", "-p",
					fmt.Sprintf(`{"spec":{"schedulingOptions":{"daemonset":%t}}}`, daemonset))
				a.awaitKind(t, daemonset)
			}
			a.awaitEndpoints(t, time.Minute, 3)
		})
	})
}

// emptyNode returns what takes all pods off a node with a host of the group, and gives the node back at the end of the
// test. NATS keeps its data on its node, so that one stays. Where there is one node only, a host is evicted.
func (a *application) emptyNode(t *testing.T) func() {
	t.Helper()
	fixed := strings.Fields(kubectl(t, "get", "pods", "-A", "-l", "app.kubernetes.io/component=nats", "-o", "jsonpath={.items[*].spec.nodeName}"))
	hosts := strings.Fields(kubectl(t, "get", "pods", "-n", a.namespace, "-l", "app.kubernetes.io/instance=hosts",
		"-o", `jsonpath={range .items[*]}{.spec.nodeName}/{.metadata.name}{"\n"}{end}`))
	for _, host := range hosts {
		node, _, _ := strings.Cut(host, "/")
		if slices.Contains(fixed, node) {
			continue
		}
		t.Cleanup(func() { kubectlInCleanup(t, "uncordon", node) })
		t.Logf("node %s is drained; hosts: %v", node, hosts)
		return func() { kubectl(t, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=110s") }
	}
	t.Logf("no node can be drained, so a host is evicted; hosts: %v", hosts)
	return func() { a.evict(t, hosts[0][strings.Index(hosts[0], "/")+1:]) }
}

// evict asks for an eviction until the disruption budget allows it.
func (a *application) evict(t *testing.T, pod string) {
	t.Helper()
	body := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, a.namespace)
	eventually(t, time.Minute, "the eviction", func() error {
		_, err := try(t, "", "create", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", a.namespace, pod), "-f", writeFile(t, body))
		return err
	})
	kubectl(t, "wait", "--for=delete", "pod/"+pod, "-n", a.namespace, "--timeout=100s")
}

func (a *application) podsOfGroup(t *testing.T) []string {
	t.Helper()
	return strings.Fields(kubectl(t, "get", "pods", "-n", a.namespace, "-l", "app.kubernetes.io/instance=hosts", "-o", "jsonpath={.items[*].metadata.name}"))
}

// awaitKind waits until the group consists of pods of one kind of workload, and all of them are ready.
func (a *application) awaitKind(t *testing.T, daemonset bool) {
	t.Helper()
	want, other := "deployment/hosts", "daemonset/hosts"
	if daemonset {
		want, other = other, want
	}
	eventually(t, 3*time.Minute, want, func() error {
		if out, err := try(t, "", "get", other, "-n", a.namespace, "--ignore-not-found", "-o", "name"); err != nil || out != "" {
			return fmt.Errorf("%s is there still: %w", strings.TrimSpace(out), err)
		}
		_, err := run(t.Context(), filepath.Join(root(t), "bin", "kubectl"), "", "rollout", "status", want, "-n", a.namespace, "--timeout=5s")
		return err
	})
}

// everyAnswer asks without a pause, half of it on connections that stay and half on new ones, until f has returned and
// enough was asked; every answer must be 200.
func everyAnswer(t *testing.T, url string, f func()) {
	t.Helper()
	var ended atomic.Bool
	var asked atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for visitor := range visitors {
		client := newClient(1)
		client.Transport.(*http.Transport).DisableKeepAlives = visitor%2 == 0
		group.Go(func() {
			defer client.CloseIdleConnections()
			pace := time.NewTicker(distance)
			defer pace.Stop()
			for !ended.Load() || asked.Load() < drained {
				if t.Context().Err() != nil {
					return
				}
				asked.Add(1)
				if status, body, err := get(t.Context(), client, url); err != nil || status != http.StatusOK {
					t.Errorf("after %s: %d %q %v", time.Since(began).Round(time.Millisecond), status, body, err)
				}
				<-pace.C
			}
		})
	}
	f()
	ended.Store(true)
	group.Wait()
	t.Logf("%d requests in %s", asked.Load(), time.Since(began).Round(time.Millisecond))
}
