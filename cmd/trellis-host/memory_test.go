//go:build cgo && linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const (
	mebibyte   = 1 << 20
	memoryGoal = 200 * mebibyte
)

// resident is the memory of a process, as /proc says it.
func resident(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// zeroes is a body that nobody has to keep.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestEchoMemory: a body that is echoed passes through the host and is not kept in it, whatever its size.
// TRELLIS_ECHO_MIB sets the size.
func TestEchoMemory(t *testing.T) {
	size := int64(64)
	if text := os.Getenv("TRELLIS_ECHO_MIB"); text != "" {
		var err error
		if size, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ file, path string }{
		"small": {"echo.wasm", "/"}, "JavaScript": {"js/app.wasm", "/echo"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "../../test/fixtures/components/" + c.file
			if _, err := os.Stat(file); err != nil && os.Getenv("TRELLIS_REQUIRE_JS") == "" {
				t.Skipf("NOT TESTED: %v; build it with `npm install && npm run build-js` in test/fixtures/components", err)
			}
			p, client, host, url := hostProcess(t)
			scale := func(count uint32) {
				if _, err := client.ScaleComponent(t.Context(), lattice.ScaleComponent{ComponentID: "hello", ComponentRef: fileRef(t, file), Count: count, HostID: host}); err != nil {
					t.Fatal(err)
				}
			}
			scale(0)
			scale(10)
			waitLong(t, "the component answers", func() bool {
				response, err := http.Post(url+c.path, "text/plain", strings.NewReader("ready"))
				if err != nil {
					return false
				}
				defer response.Body.Close()
				body, _ := io.ReadAll(response.Body)
				return string(body) == "ready"
			})
			before := resident(t, p.cmd.Process.Pid)
			most, took := echo(t, p, url+c.path, size*mebibyte)
			t.Logf("%d MiB echoed in %s (%.1f MiB/s); the host has %d MiB before and at most %d MiB during it", size, took.Round(time.Millisecond),
				float64(size)/took.Seconds(), before/mebibyte, most/mebibyte)
			if most > memoryGoal {
				t.Errorf("the host takes %d MiB", most/mebibyte)
			}
		})
	}
}

func waitLong(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute) // a large component is compiled first
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within two minutes: %s", what)
		case <-tick.C:
		}
	}
}

func echo(t *testing.T, p *process, url string, size int64) (most int64, took time.Duration) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.LimitReader(zeroes{}, size))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got int64
	for got < size {
		n, err := io.CopyN(io.Discard, response.Body, mebibyte)
		got += n
		most = max(most, resident(t, p.cmd.Process.Pid))
		if err != nil {
			break
		}
	}
	if got != size {
		t.Errorf("%d bytes of %d came back", got, size)
	}
	return most, time.Since(began)
}

// TestNoLeak: requests leave nothing behind, on the C side neither.
func TestNoLeak(t *testing.T) {
	p, _, _, url := hostProcess(t)
	requests := func(n int) {
		for range n {
			if status, _ := get(t, url); status != 200 {
				t.Fatalf("status %d", status)
			}
		}
	}
	requests(1000)
	before := resident(t, p.cmd.Process.Pid)
	requests(4000)
	after := resident(t, p.cmd.Process.Pid)
	t.Logf("%d KiB after 1,000 requests, %d KiB after 5,000", before>>10, after>>10)
	if after > before+16*mebibyte {
		t.Errorf("4,000 requests left %d KiB behind", (after-before)>>10)
	}
}
