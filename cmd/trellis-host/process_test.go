//go:build cgo

package main

import (
	"bufio"

	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
)

const (
	patience = 20 * time.Second
	hello    = "../../examples/hello/component/hello.wasm"
)

// beHost makes the test binary be trellis-host: an abort inside wasmtime must end that process and not the tests.
const beHost = "TRELLIS_TEST_BE_HOST"

func TestMain(m *testing.M) {
	if os.Getenv(beHost) != "" {
		main() // its compiler inherits the variable
	}
	os.Exit(m.Run())
}

// process is trellis-host as an operating system sees it.
type process struct {
	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func startProcess(t *testing.T, args []string, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, args...), output: &lockedBuffer{}, exited: make(chan error, 1)}
	p.cmd.Env = append([]string{beHost + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("output of the host:\n%s", p.output)
		}
	})
	return p
}

// exit waits for the end and returns the exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the host did not end")
		return -1
	}
}

// hostProcess starts a host that serves the hello component, and returns what is needed to talk to it.
func hostProcess(t *testing.T, env ...string) (p *process, client *control.Client, host, url string) {
	t.Helper()
	server := natsd.Run(t, natsd.Options{})
	address := strings.TrimPrefix(server.ClientURL(), "nats://")
	natsHost, natsPort, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	p = startProcess(t, []string{"--allow-file-load", "--nats-port", natsPort}, append(env, "WASMCLOUD_NATS_HOST="+natsHost)...)
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{server.ClientURL()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if client, err = control.New(conn, "default", control.Options{Window: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the host answers", func() bool {
		hosts, err := client.Ping(t.Context())
		if err == nil && len(hosts) == 1 {
			host = hosts[0].ID
		}
		return host != ""
	})
	listen := freeAddress(t)
	ctx := t.Context()
	link := lattice.Link{SourceID: "http", Target: "hello", Name: "default", WitNamespace: "wasi", WitPackage: "http",
		Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"address"}}
	_, scaled := client.ScaleComponent(ctx, lattice.ScaleComponent{ComponentID: "hello", ComponentRef: fileRef(t, hello), Count: 10, HostID: host})
	for _, err := range []error{
		client.PutConfig(ctx, "address", lattice.Config{"address": listen}), client.PutLink(ctx, link), scaled,
		client.StartProvider(ctx, lattice.StartProvider{ProviderID: "http", ProviderRef: lattice.BuiltinHTTPServer, HostID: host}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	url = "http://" + listen
	waitFor(t, "the component answers", func() bool {
		response, err := http.Get(url)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == 200
	})
	return p, client, host, url
}

// TestInvalidRequests sends what no client should send. wasmtime aborts the process when a string that is not UTF-8
// reaches it, so the process must still be there afterwards.
func TestInvalidRequests(t *testing.T) {
	_, _, _, url := hostProcess(t)
	address := strings.TrimPrefix(url, "http://")
	for name, c := range map[string]struct {
		request string
		status  int // 0: any
	}{
		"path":            {"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"query":           {"GET /x?q=\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"half a rune":     {"GET /\xe2\x82 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"surrogate":       {"GET /\xed\xa0\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"proxy form":      {"GET http://h/\xff?\xfe HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"host":            {"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400},
		"method":          {"G\xffT / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"header value":    {"GET / HTTP/1.1\r\nHost: a\r\nX-Odd: \xff\xfe\r\n\r\n", 200},
		"header name":     {"GET / HTTP/1.1\r\nHost: a\r\nX-\xff: 1\r\n\r\n", 400},
		"body":            {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\xff\xfe", 200},
		"escaped":         {"GET /%ff?%fe HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"umlaut":          {"GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"unknown method":  {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"options star":    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"connect":         {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 0},
		"no host":         {"GET / HTTP/1.0\r\n\r\n", 200},
		"bad chunk":       {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0},
		"broken off":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", 0},
		"trailer":         {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nX: \xff\r\n\r\n", 0},
		"expect continue": {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 0},
	} {
		status, err := sendRaw(address, c.request)
		if c.status != 0 && (err != nil || status != c.status) {
			t.Errorf("%s: status %d, %v; want %d", name, status, err, c.status)
		}
		if s, _ := get(t, url); s != 200 {
			t.Fatalf("after %s the host answers %d", name, s)
		}
	}
}

func sendRaw(address, request string) (int, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, err
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// TestShutdown: a signal ends the host in good order, and so does a command of the lattice.
func TestShutdown(t *testing.T) {
	for name, end := range map[string]func(p *process, client *control.Client, host string) error{
		"SIGTERM": func(p *process, _ *control.Client, _ string) error { return p.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(p *process, _ *control.Client, _ string) error { return p.cmd.Process.Signal(syscall.SIGINT) },
		"command": func(_ *process, client *control.Client, host string) error {
			return client.StopHost(t.Context(), host, 5*time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			admin := freeAddress(t)
			p, client, host, _ := hostProcess(t, "WASMCLOUD_HTTP_ADMIN="+admin)
			if status, body := get(t, "http://"+admin+"/readyz"); status != 200 || body != `{"status":"ok"}` {
				t.Errorf("readyz: %d %s", status, body)
			}
			stopped := make(chan struct{}, 1)
			if _, err := client.Events(t.Context(), func(e lattice.Event) {
				if e.Kind() == lattice.KindHostStopped && e.Host == host {
					stopped <- struct{}{}
				}
			}, nil); err != nil {
				t.Fatal(err)
			}
			if err := end(p, client, host); err != nil {
				t.Fatal(err)
			}
			select {
			case <-stopped:
			case <-time.After(patience):
				t.Error("no host_stopped")
			}
			if code := p.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  []string
		code int
		want string
	}{
		"help":          {[]string{"--help"}, nil, 0, "WASMCLOUD_LATTICE"},
		"unknown flag":  {[]string{"--nonsense"}, nil, 2, "nonsense"},
		"bad number":    {nil, []string{"WASMCLOUD_MAX_COMPONENTS=many"}, 2, "no whole number"},
		"bad lattice":   {[]string{"--lattice", "a.b"}, nil, 2, "lattice name"},
		"no NATS":       {[]string{"--nats-port", "1"}, nil, 1, "no NATS server answers"},
		"unknown ones":  {[]string{"--nats-port", "1"}, []string{"WASMCLOUD_LATTICE_PREFIX=x"}, 1, "WASMCLOUD_LATTICE_PREFIX"},
		"ignored ones":  {[]string{"--nats-port", "1"}, []string{"WASMCLOUD_POLICY_TOPIC=x"}, 1, "no effect in trellis-host"},
		"half a JWT":    {[]string{"--nats-jwt", "x"}, nil, 2, "without the other"},
		"bad seed":      {[]string{"--host-seed", "x"}, nil, 1, "seed is not usable"},
		"bad mirror":    {nil, []string{"TRELLIS_OCI_MIRRORS=x"}, 2, "a mirror is written"},
		"several wrong": {[]string{"--label", "x"}, []string{"WASMCLOUD_HEARTBEAT_INTERVAL=x"}, 2, "key=value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProcess(t, c.args, c.env...)
			if code := p.exit(t); code != c.code || !strings.Contains(p.output.String(), c.want) {
				t.Errorf("code %d, want %d with %q; output:\n%s", code, c.code, c.want, p.output)
			}
		})
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

func fileRef(t testing.TB, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return "file://" + absolute
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}
