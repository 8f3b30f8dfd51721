package main

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trellis-operator/trellis/test/kube/internal/local"
	"github.com/trellis-operator/trellis/test/kube/internal/progress"
	"github.com/trellis-operator/trellis/test/kube/internal/state"
)

// TestCluster makes a cluster, uses it, breaks it and takes it away. It needs
// root and some minutes (half an hour with an empty cache), so it runs only
// when it is asked for.
func TestCluster(t *testing.T) {
	if os.Getenv("TRELLIS_KUBE_TEST") == "" {
		t.Skip("NOT RUN: the cluster's own test runs with TRELLIS_KUBE_TEST=1, as root on Linux, where no cluster is up")
	}
	if state.Dir(state.Root).Exists() {
		t.Fatal("a cluster is running on this machine; take it down first (make down)")
	}
	kube := buildRunner(t)
	kube.run(t, "build")
	kube.run(t, "down") // of what is not there: has to be fine, and installs nothing
	// Debian packages stay, so what they bring is no trace.
	packages := &local.Cluster{Report: progress.New(os.Stderr, time.Now)}
	if err := packages.EnsurePackages(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := takeTrace(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(kube.try(t, "", nil, "status"))
		}
		kube.run(t, "down")
		before.check(t)
	})

	begun := time.Now()
	kube.run(t, "up")
	t.Logf("up took %s", time.Since(begun))
	t.Run("kubectl", func(t *testing.T) { testKubectl(t) })
	t.Run("empty namespace", func(t *testing.T) { testEmptyNamespace(t, kube) })
	t.Run("pods", func(t *testing.T) { testPods(t, kube) })
	t.Run("existing", func(t *testing.T) { testExisting(t, kube) })
	t.Run("second up", func(t *testing.T) { testSecondUp(t, kube) })
	t.Run("repair", func(t *testing.T) { testRepair(t, kube) })
	t.Run("down", func(t *testing.T) {
		kube.run(t, "down")
		before.check(t)
	})
	t.Run("killed up", func(t *testing.T) { testKilledUp(t, kube) })
	t.Run("down without records", func(t *testing.T) {
		if err := os.RemoveAll(state.Dir(state.Root).Path("records")); err != nil {
			t.Fatal(err)
		}
		kube.run(t, "down")
		before.check(t)
	})
}

func testKubectl(t *testing.T) {
	kubectl := runner{path: "../../bin/kubectl"}
	out, errs, err := kubectl.try(t, "", []string{"KUBECONFIG=" + state.Dir(state.Root).Path("kubeconfig")}, "version")
	if err != nil || !strings.Contains(out, "Client Version: v1.37.2") || !strings.Contains(out, "Server Version: v1.37.2") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
}

func testEmptyNamespace(t *testing.T, kube runner) {
	kube.run(t, "kubectl", "create", "namespace", "empty")
	begun := time.Now()
	kube.run(t, "kubectl", "delete", "namespace", "empty", "--timeout=10s")
	t.Logf("an empty namespace was gone after %s", time.Since(begun))
}

func testSecondUp(t *testing.T, kube runner) {
	before := processes(kube.run(t, "status"))
	begun := time.Now()
	kube.run(t, "up")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a second up took %s", took)
	}
	for part, pid := range processes(kube.run(t, "status")) {
		if before[part] != pid {
			t.Errorf("%s was started again: pid %d, before %d", part, pid, before[part])
		}
	}
}

// processes reads the pids out of "status".
func processes(status string) map[string]int {
	pids := map[string]int{}
	for _, line := range strings.Split(status, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 4 && fields[1] == "running" {
			pids[fields[0]], _ = strconv.Atoi(fields[2])
		}
	}
	return pids
}

// testRepair kills each part, and then all of them at once.
func testRepair(t *testing.T, kube runner) {
	pids := processes(kube.run(t, "status"))
	if len(pids) != 5 {
		t.Fatalf("status lists %v", pids)
	}
	for part := range pids {
		kill(t, kube, part)
		kube.run(t, "up")
		expectAnswer(t, kube, serviceAddress(t, kube), "from the first")
	}
	for part := range pids {
		kill(t, kube, part)
	}
	kube.run(t, "up")
	expectAnswer(t, kube, serviceAddress(t, kube), "from the first")
	breakNetwork(t, kube)
	// The node's programs are looked after by the node itself.
	kube.run(t, "node-exec", "/bin/sh", "-c", "for f in /proc/[0-9]*; do case $(cat $f/comm) in kubelet|containerd|kube-proxy) kill -9 ${f#/proc/};; esac; done")
	kube.run(t, "kubectl", "-n", "probe", "delete", "pod", "-l", "app=first", "--wait=false")
	expectAnswer(t, kube, serviceAddress(t, kube), "from the first")
}

// breakNetwork switches the node's cable off, then removes it, then the bridge.
func breakNetwork(t *testing.T, kube runner) {
	for what, damage := range map[string]func(netlink.Link) error{
		"trellis-n1 down": netlink.LinkSetDown, "trellis-n1 removed": netlink.LinkDel, "trellis0 removed": netlink.LinkDel,
	} {
		link, err := netlink.LinkByName(strings.Fields(what)[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(link); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		kube.run(t, "up")
		expectAnswer(t, kube, serviceAddress(t, kube), "from the first")
	}
}

func kill(t *testing.T, kube runner, part string) {
	t.Helper()
	pid := processes(kube.run(t, "status"))[part]
	if pid <= 1 {
		t.Fatalf("%s does not run", part)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, part+" dead", func() bool { return processes(kube.run(t, "status"))[part] == 0 })
}

// testKilledUp kills "up" at several moments; the next one must get there.
func testKilledUp(t *testing.T, kube runner) {
	for _, after := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 200 * time.Millisecond, time.Second, 3 * time.Second, 6 * time.Second} {
		command := kube.command(t.Context(), nil, "up")
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(after, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		timer.Stop()
	}
	kube.run(t, "up")
	testEmptyNamespace(t, kube)
}

// expectAnswer asks an address from the machine until the answer is right.
func expectAnswer(t *testing.T, kube runner, address, want string) {
	t.Helper()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got := ask(client, "http://"+address)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			pods := kube.run(t, "kubectl", "get", "pods,services,endpointslices", "-A", "-o", "wide")
			events := kube.run(t, "kubectl", "-n", "probe", "get", "events", "--sort-by=.lastTimestamp")
			rules := kube.run(t, "node-exec", "nft", "list", "ruleset")
			t.Fatalf("%s answers %q instead of %q\n%s\n%s\n%s", address, got, want, pods, events, rules)
		}
	}
}

func ask(client *http.Client, url string) string {
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
