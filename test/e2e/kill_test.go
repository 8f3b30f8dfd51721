//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a step may take while things are killed: kubelet waits 10 s, 20 s, 40 s before it starts a
// container again that ended several times.
const patience = 2 * time.Minute

// A pod of the operator, of NATS and of the hosts is killed, each at some time of the scenario; it arrives all the same.
func TestKilledAtAnyTime(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			survive(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

type victim struct{ namespace, selector, container string }

func survive(t *testing.T, random *rand.Rand) {
	t.Cleanup(func() { renewPods(t, "operator", "nats") })
	a := newApplication(t, "application.yaml")
	steps := a.steps(t)
	victims := []victim{
		{system, "app.kubernetes.io/component=operator", "trellis"},
		{system, "app.kubernetes.io/component=nats", "nats"},
		{a.namespace, "app.kubernetes.io/instance=hosts", "wasmcloud-host"},
	}
	// Each is killed in a step of its own, soon after the step began; the host in one that has a host already.
	order := random.Perm(len(steps))
	if order[2] == 0 {
		order[2], order[3] = order[3], order[2]
	}
	for number, step := range steps {
		var group sync.WaitGroup
		if at := slices.Index(order[:len(victims)], number); at >= 0 {
			delay := time.Duration(random.Int64N(int64(1500 * time.Millisecond)))
			pick := random.Int()
			t.Logf("step %s: %s is killed after %s", step.name, victims[at].container, delay.Round(time.Millisecond))
			group.Go(func() { kill(t, victims[at], delay, pick) })
		}
		step.do()
		step.arrived()
		group.Wait()
		step.arrived() // also when the kill came late
	}
	awaitSystem(t)
	// A host that was killed cannot say that it ended: it is waited for until its heartbeats are overdue.
	awaitNothingLeft(t, a.name, patience)
}

// scenarioStep is something that a user does, and what then shows.
type scenarioStep struct {
	name        string
	do, arrived func()
}

func (a *application) steps(t *testing.T) []scenarioStep {
	answer := func(want string) func() { return func() { a.awaitAnswer(t, patience, want) } }
	size := func(replicas int) func() {
		return func() {
			a.awaitEndpoints(t, patience, replicas)
			a.awaitAnswer(t, patience, "Bonjour")
		}
	}
	return []scenarioStep{
		{"apply", func() {
			a.hosts(t)
			a.applyPatiently(t, a.text)
		}, answer("Hello from Wasm!")},
		{"config", func() { a.applyPatiently(t, a.greeting("Bonjour")) }, answer("Bonjour")},
		{"up", func() { a.scale(t, 3) }, size(3)},
		{"down", func() { a.scale(t, 1) }, size(1)},
		{"delete", func() {
			eventually(t, patience, "deletion", func() error {
				_, err := try(t, "", "delete", "application", a.name, "-n", a.namespace, "--ignore-not-found", "--timeout=30s")
				return err
			})
		}, func() { a.awaitServiceGone(t) }},
	}
}

// applyPatiently repeats what a user would repeat: the API may say that it has no store at the moment.
func (a *application) applyPatiently(t *testing.T, manifest string) {
	t.Helper()
	eventually(t, patience, "apply", func() error {
		_, err := try(t, manifest, "apply", "-n", a.namespace, "-f", "-")
		return err
	})
}

// kill ends the process of a container, of one of the pods, with SIGKILL.
func kill(t *testing.T, v victim, delay time.Duration, pick int) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		return
	}
	err := within(30*time.Second, func() error {
		out, err := try(t, "", "get", "pods", "-n", v.namespace, "-l", v.selector, "-o", "jsonpath={.items[*].metadata.name}")
		pods := strings.Fields(out)
		if err != nil || len(pods) == 0 {
			return fmt.Errorf("no pod %s in %s: %w", v.selector, v.namespace, err)
		}
		pid, err := processOf(t, v.namespace, pods[pick%len(pods)], v.container)
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	})
	if err != nil {
		t.Errorf("nothing was killed: %v", err)
	}
}

// awaitSystem waits until all pods of the system are ready, for the next test.
func awaitSystem(t *testing.T) {
	t.Helper()
	kubectl(t, "rollout", "status", "-n", system, "statefulset/trellis-nats", "--timeout=90s")
	kubectl(t, "rollout", "status", "-n", system, "deployment/trellis", "--timeout=90s")
}

// renewPods replaces pods, so that the kubelet forgets how often their containers ended, and the next test begins with a
// system that is whole.
func renewPods(t *testing.T, components ...string) {
	t.Helper()
	for _, component := range components {
		kubectlInCleanup(t, "delete", "pod", "-n", system, "-l", "app.kubernetes.io/component="+component, "--timeout=60s")
	}
	kubectlInCleanup(t, "rollout", "status", "-n", system, "statefulset/trellis-nats", "--timeout=90s")
	kubectlInCleanup(t, "rollout", "status", "-n", system, "deployment/trellis", "--timeout=90s")
	apiAnswers(t)
}

// apiAnswers waits until the API reaches its store.
func apiAnswers(t *testing.T) {
	t.Helper()
	if err := within(30*time.Second, func() error {
		_, err := run(context.Background(), filepath.Join(root(t), "bin", "kubectl"), "", "get", "applications", "-A", "-o", "name")
		return err
	}); err != nil {
		t.Errorf("the API does not answer: %v", err)
	}
}
