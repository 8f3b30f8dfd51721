//go:build cgo

package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/wasi"
)

const fixtures = "../../../test/fixtures/components/"

// served is one component behind a real HTTP server.
type served struct {
	url string

	mu      sync.Mutex
	results []error
	said    []string
}

func newEngine(t testing.TB) *Engine {
	t.Helper()
	e, err := New(Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	code, err := os.ReadFile(fixtures + name)
	if err != nil {
		t.Fatalf("%v; make the fixtures as test/fixtures/components/README.md says", err)
	}
	return code
}

func serve(t testing.TB, code []byte, call wasmhost.Call) *served {
	t.Helper()
	c, err := newEngine(t).Load(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{}
	call.MaxMemory, call.MaxCoreInstances = 64<<20, 30
	if call.MaxTime == 0 {
		call.MaxTime = 20 * time.Second
	}
	call.Done = func(err error) { s.add(&s.results, nil, err) }
	call.Log = func(level, context, message string) { s.add(nil, &s.said, level+" "+context+" "+message) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.Serve(w, r, call) }))
	t.Cleanup(c.Close)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *served) add(results *[]error, said *[]string, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if results != nil {
		err, _ := v.(error)
		*results = append(*results, err)
		return
	}
	*said = append(*said, v.(string))
}

// outcome waits for the end of the n-th instance.
func (s *served) outcome(t *testing.T, n int) error {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		if len(s.results) > n {
			defer s.mu.Unlock()
			return s.results[n]
		}
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the instance did not end")
		}
	}
}

func fetch(t testing.TB, method, url string, body io.Reader) (status int, answer string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// TestFaults: whatever a component does, its client gets a proper answer, the reason is known, and the next request is
// served as if nothing had been.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		time    time.Duration
		status  int
		broken  bool // the connection breaks off in the middle
		body    string
		failure string
	}{
		"trap":         {status: 500, body: "component failed", failure: "unreachable"},
		"trap-late":    {broken: true, failure: "unreachable"},
		"silent":       {status: 500, body: "component failed", failure: "returned without a response"},
		"unfinished":   {broken: true, failure: "without finishing"},
		"loop":         {time: 300 * time.Millisecond, status: 504, body: "maximum execution time", failure: "maximum execution time"},
		"hoard":        {status: 500, body: "component failed", failure: "unreachable"},
		"finish-early": {time: 300 * time.Millisecond, status: 200, body: "done", failure: "maximum execution time"},
		"foreign":      {status: 500, body: "component failed", failure: "make of acme:thing/maker@1.0.0, which this host does not offer"},
		"denied":       {status: 200, body: "denied\n"},
		"logs":         {status: 200, body: "hello log"},
		"wait":         {time: 300 * time.Millisecond, status: 504, body: "maximum execution time", failure: "maximum execution time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, readFixture(t, name+".wasm"), wasmhost.Call{MaxTime: c.time})
			for n := range 2 {
				status, body, err := fetch(t, http.MethodGet, s.url, nil)
				if c.broken != (err != nil) || !c.broken && (status != c.status || !strings.Contains(body, c.body)) {
					t.Errorf("request %d: %d %q, %v", n, status, body, err)
				}
				failure := s.outcome(t, n)
				if c.failure == "" && failure != nil || c.failure != "" && (failure == nil || !strings.Contains(failure.Error(), c.failure)) {
					t.Errorf("request %d ended with: %v", n, failure)
				}
			}
		})
	}
}

func TestLogs(t *testing.T) {
	s := serve(t, readFixture(t, "logs.wasm"), wasmhost.Call{})
	if _, _, err := fetch(t, http.MethodGet, s.url, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.outcome(t, 0); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.said, "|"); got != "warn hello hello log|stderr  hello stderr" {
		t.Errorf("logged %q", got)
	}
}

func TestEcho(t *testing.T) {
	s := serve(t, readFixture(t, "echo.wasm"), wasmhost.Call{})
	for _, size := range []int{0, 1, 65535, 65536, 65537, 3 << 20} {
		sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		status, got, err := fetch(t, http.MethodPost, s.url, bytes.NewReader(sent))
		if err != nil || status != 200 || got != string(sent) {
			t.Errorf("%d bytes: %d, %d bytes back, %v", size, status, len(got), err)
		}
	}
}

// TestEchoInterleaved: what was sent comes back before more is sent, so bodies stream in both directions at once.
func TestEchoInterleaved(t *testing.T) {
	s := serve(t, readFixture(t, "echo.wasm"), wasmhost.Call{})
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, reader)
	if err != nil {
		t.Fatal(err)
	}
	var response *http.Response
	for i := range 5 {
		piece := strings.Repeat(string(rune('a'+i)), 1000)
		go func() { _, _ = io.WriteString(writer, piece) }()
		if response == nil {
			if response, err = http.DefaultClient.Do(request); err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
		}
		back := make([]byte, len(piece))
		if _, err := io.ReadFull(response.Body, back); err != nil || string(back) != piece {
			t.Fatalf("piece %d: %v", i, err)
		}
	}
	_ = writer.Close()
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
		t.Errorf("the end: %d bytes, %v", len(rest), err)
	}
}

// TestStream: the first line arrives long before the last is written.
func TestStream(t *testing.T) {
	s := serve(t, readFixture(t, "stream.wasm"), wasmhost.Call{})
	began := time.Now()
	response, err := http.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	line := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, line); err != nil {
		t.Fatal(err)
	}
	first := time.Since(began)
	rest, err := io.ReadAll(response.Body)
	total := time.Since(began)
	if err != nil || string(line)+string(rest) != strings.Repeat("tick\n", 5) {
		t.Errorf("%q, %v", string(line)+string(rest), err)
	}
	if total < 200*time.Millisecond || first > total/2 {
		t.Errorf("first line after %s of %s", first, total)
	}
}

// TestClientGone: nobody waits for the answer any more, so the component stops.
func TestClientGone(t *testing.T) {
	for _, name := range []string{"loop.wasm", "wait.wasm"} {
		s := serve(t, readFixture(t, name), wasmhost.Call{MaxTime: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := http.DefaultClient.Do(request); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if err := s.outcome(t, 0); name == "loop.wasm" && !errors.Is(err, errClientGone) {
			t.Errorf("%s ended with: %v", name, err)
		}
	}
}

func TestLoad_Errors(t *testing.T) {
	e := newEngine(t)
	for what, c := range map[string]struct{ code, want string }{
		"nothing":        {"", "empty"},
		"noise":          {"\x00asm\x0d\x00\x01\x00noise", "cannot be compiled"},
		"core module":    {"(module)", "cannot be compiled"},
		"no handler":     {"(component)", ErrNoHandler.Error()},
		"handler of 0.1": {`(component (instance $i) (export "wasi:http/incoming-handler@0.1.0" (instance $i)))`, ErrNoHandler.Error()},
	} {
		if _, err := e.Load(t.Context(), []byte(c.code)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCache: compiled code is used again, and not when it was damaged.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	code := readFixture(t, "denied.wasm")
	load := func() {
		t.Helper()
		e, err := New(Options{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		c, err := e.Load(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	load()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	inner := dir + "/" + files[0].Name() + "/"
	names, err := os.ReadDir(inner)
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	path := inner + names[0].Name()
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	load() // from the cache
	// A new file in its place: the old one may still be mapped, and cutting that off kills whoever maps it.
	if err := errors.Join(os.Remove(path), os.WriteFile(path, written[:len(written)/2], 0o600)); err != nil {
		t.Fatal(err)
	}
	load()
	if again, err := os.ReadFile(path); err != nil || len(again) != len(written) {
		t.Errorf("the damaged file was not replaced: %d bytes of %d, %v", len(again), len(written), err)
	}
	if err := os.Chmod(inner, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{CacheDir: dir}); !errors.Is(err, ErrCacheUnsafe) {
		t.Errorf("a folder open to everybody: %v", err)
	}
}

func TestRefusal(t *testing.T) {
	if !errors.As(wasi.ErrDeadline, new(*wasi.TimeoutError)) {
		t.Error("the deadline must tell its status")
	}
}
