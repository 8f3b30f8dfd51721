package orchestrator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/go-logr/logr/testr"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/helper"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// slowEngine runs components that answer after a moment, so that requests are always under way.
type slowEngine struct{}

func (slowEngine) Load(context.Context, []byte) (wasmhost.Component, error) {
	return slowComponent{}, nil
}

type slowComponent struct{}

func (slowComponent) Close() {}

func (slowComponent) Serve(w http.ResponseWriter, _ *http.Request, call wasmhost.Call) {
	defer call.Done(nil)
	time.Sleep(20 * time.Millisecond)
	_, _ = io.WriteString(w, "hello")
}

// cluster is a lattice of trellis-hosts, each in a pod, with an orchestrator, and nodes that send requests to pods.
type cluster struct {
	*testing.T
	server string
	mu     sync.Mutex
	pods   map[string]*pod
	// targets are where nodes send new connections.
	targets []string
}

type pod struct {
	end  func()
	urls []string
	// admitted is where nodes send requests.
	admitted string
}

var listens = regexp.MustCompile(`"msg"="The HTTP server listens" "host"="[^"]*".*"address"="([^"]+)"`)

func (c *cluster) start(uid string) {
	c.Helper()
	p := &pod{}
	c.mu.Lock()
	c.pods[uid] = p
	c.mu.Unlock()
	log := funcr.New(func(_, args string) {
		if found := listens.FindStringSubmatch(args); found != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			p.urls = append(p.urls, "http://"+found[1])
		}
	}, funcr.Options{})
	nats := natsconn.Config{URLs: []string{c.server}}
	host, err := wasmhost.New(wasmhost.Config{Control: nats, RPC: nats, AllowFileLoad: true, Engine: slowEngine{}, Log: log,
		Labels: map[string]string{lattice.LabelPodUID: uid}})
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := host.Run(ctx); err != nil {
			c.Errorf("host %s: %v", uid, err)
		}
	}()
	p.end = sync.OnceFunc(func() { cancel(); <-done })
	c.Cleanup(p.end)
}

// newest is where the server of a pod listens: a changed link may have moved it. It is empty before it listens.
func (c *cluster) newest(uid string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if urls := c.pods[uid].urls; len(urls) > 0 {
		return urls[len(urls)-1]
	}
	return ""
}

// admit makes nodes send requests to a pod, once it answers.
func (c *cluster) admit(uid string) {
	c.Helper()
	target := ""
	c.eventually("pod "+uid+" serves", func() bool {
		target = c.newest(uid)
		return target != "" && request(http.DefaultClient, target) == nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pods[uid].admitted = target
	c.targets = append(c.targets, target)
}

func (c *cluster) eventually(what string, ok func() bool) {
	c.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			c.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// withdraw makes nodes send no new connections to a pod.
func (c *cluster) withdraw(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []string
	for _, t := range c.targets {
		if t != c.pods[uid].admitted {
			left = append(left, t)
		}
	}
	c.targets = left
}

func (c *cluster) target(n int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.targets[n%int64(len(c.targets))]
}

var errCloses = errors.New("the server closes the connection")

// request posts, which no client repeats by itself.
func request(client *http.Client, url string) error {
	response, err := client.Post(url, "text/plain", bytes.NewReader([]byte("x")))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK || string(body) != "hello":
		return fmt.Errorf("%s: %s", response.Status, body)
	case response.Close:
		return errCloses
	}
	return nil
}

// load sends requests until stop is called, which returns how many there were and what went wrong. Each client keeps its
// connection, and therefore its pod, as long as the server lets it: nodes do not move connections.
func (c *cluster) load(clients int) (stop func() (int64, []string)) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var count atomic.Int64
	var mu sync.Mutex
	var failures []string
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			target := c.target(count.Load())
			for ctx.Err() == nil {
				n := count.Add(1)
				err := request(client, target)
				if errors.Is(err, errCloses) {
					target = c.target(n)
				} else if err != nil {
					mu.Lock()
					failures = append(failures, target+": "+err.Error())
					mu.Unlock()
					target = c.target(n)
				}
			}
		})
	}
	return func() (int64, []string) { cancel(); all.Wait(); return count.Load(), failures }
}

const served = `
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: hello}
spec:
  components:
    - name: c
      type: component
      properties: {image: "file://FILE"}
      traits: [{type: spreadscaler, properties: {instances: 8}}]
    - name: server
      type: capability
      properties: {image: "ghcr.io/wasmcloud/http-server:0.27.0"}
      traits:
        - {type: daemonscaler, properties: {instances: 1}}
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            target: {name: c}
            source: {config: [{name: address, properties: {address: "127.0.0.1:0"}}]}
`

// TestDrain_Requests rolls two hosts under load, with real requests, hosts and helper, and loses none.
func TestDrain_Requests(t *testing.T) {
	c := &cluster{T: t, server: natsd.Run(t, natsd.Options{}).ClientURL(), pods: map[string]*pod{}}
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{c.server}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	client, err := control.New(conn, "default", control.Options{Window: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := manifest.DecodeWadm("application/yaml", []byte(strings.Replace(served, "FILE", file, 1)))
	if err != nil {
		t.Fatal(err)
	}
	app.Namespace = "ns"
	fake := newAPI()
	fake.apply(app)
	c.start("a")
	c.start("b")
	c.orchestrate(client, fake)
	c.admit("a")
	c.admit("b")
	stop := c.load(8)
	at, err := url.Parse(c.server)
	if err != nil {
		t.Fatal(err)
	}
	for _, roll := range []struct{ old, now string }{{"a", "c"}, {"b", "d"}} {
		c.start(roll.now)
		c.eventually("the server of pod "+roll.now+" listens", func() bool { return c.newest(roll.now) != "" })
		drained := make(chan string)
		go func() { drained <- drainPod(t, roll.old, at.Host) }()
		c.admit(roll.now)
		<-time.After(nodesLag) // nodes hear of it late
		c.withdraw(roll.old)
		if says := <-drained; !strings.Contains(says, "what ran here runs elsewhere now") {
			t.Errorf("pod %s: %s", roll.old, says)
		}
		c.pods[roll.old].end()
	}
	count, failures := stop()
	if len(failures) > 0 || count < 1000 {
		t.Errorf("%d of %d requests failed, for instance %q", len(failures), count, failures[:min(3, len(failures))])
	}
	t.Logf("%d requests", count)
	if phase := fake.phase("hello"); phase != v1beta1.PhaseDeployed {
		t.Errorf("the application is %s", phase)
	}
}

func (a *api) phase(name string) v1beta1.ApplicationPhase {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.apps[appKey{"ns", name}].Status.Phase
}

// drainPod is the preStop hook of a pod.
func drainPod(t *testing.T, uid, address string) string {
	t.Setenv("WASMCLOUD_LABEL_"+lattice.LabelPodUID, uid)
	var says bytes.Buffer
	if code := helper.Run([]string{"drain", "--lattice", "default", "--address", address, "--timeout", "40s"}, &says, &says); code != 0 {
		t.Errorf("the helper ends with %d", code)
	}
	return says.String()
}

func (c *cluster) orchestrate(client *control.Client, fake *api) {
	c.Helper()
	o, err := New(Config{Lattice: "default", Control: client, Applications: fake, Revisions: fakeRevisions{fake}, Teardowns: fakeTeardowns{fake},
		Lease: fakeLease{fake}, Drains: client, IdentityLabel: lattice.LabelPodUID})
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(logr.NewContext(context.Background(), testr.NewWithOptions(c.T, testr.Options{Verbosity: 1})))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := o.Run(ctx); err != nil {
			c.Error(err)
		}
	}()
	c.Cleanup(func() { cancel(); <-done })
}
