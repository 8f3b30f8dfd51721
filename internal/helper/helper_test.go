package helper

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func call(args ...string) (code int, says string) {
	var stdout, stderr bytes.Buffer
	code = Run(args, &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // a pod that restarts installs again
		if code, says := call("install", dir); code != 0 {
			t.Fatalf("exit code %d: %s", code, says)
		}
	}
	info, err := os.Stat(filepath.Join(dir, Name))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o555 {
		t.Errorf("mode = %v", info.Mode())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if code, says := call("install", filepath.Join(dir, "absent")); code != 1 || !strings.Contains(says, "absent") {
		t.Errorf("exit code %d: %s", code, says)
	}
}

func TestProbeHTTP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.Close {
			t.Error("the probe keeps its connection")
		}
		switch r.URL.Path {
		case "/readyz":
			w.WriteHeader(http.StatusInternalServerError)
		case "/moved":
			http.Redirect(w, r, "/livez", http.StatusFound)
		}
	}))
	defer server.Close()
	for path, want := range map[string]int{"/livez": 0, "/readyz": 1, "/moved": 1} {
		if code, says := call("probe", "http", server.URL+path); code != want {
			t.Errorf("%s: exit code %d: %s", path, code, says)
		}
	}
}

// speak listens and says the lines to whoever connects.
func speak(t *testing.T, lines ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			for _, line := range lines {
				fmt.Fprint(conn, line, "\r\n")
			}
		}
	}()
	return listener.Addr().String()
}

func TestProbes(t *testing.T) {
	info := `INFO {"server_id":"x"}`
	closed := speak(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()
	leaf := []string{"--lattice", "default", "--domain", "default", "--timeout", "300ms"}
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"tcp":                     {[]string{"tcp", "--address", closed}, 0, ""},
		"tcp, nobody":             {[]string{"tcp", "--address", nobody}, 1, "nothing listens"},
		"nats":                    {[]string{"nats", "--address", speak(t, info)}, 0, ""},
		"nats, something else":    {[]string{"nats", "--address", speak(t, "SSH-2.0")}, 1, "not a NATS server"},
		"nats, nobody":            {[]string{"nats", "--address", nobody}, 1, "nothing listens"},
		"leaf answers":            {append([]string{"leaf", "--address", speak(t, info, "PING", "MSG inbox 1 2", "{}")}, leaf...), 0, ""},
		"leaf without hub":        {append([]string{"leaf", "--address", speak(t, info, "HMSG inbox 1 16 16")}, leaf...), 1, "no connection to a hub"},
		"leaf without an answer":  {append([]string{"leaf", "--address", speak(t, info)}, leaf...), 1, "does not answer"},
		"leaf refuses":            {append([]string{"leaf", "--address", speak(t, info, "-ERR 'Authorization Violation'")}, leaf...), 1, "Authorization Violation"},
		"leaf without a lattice":  {[]string{"leaf"}, 2, "usage"},
		"unknown probe":           {[]string{"x"}, 2, "usage"},
		"unknown flag":            {[]string{"nats", "--x"}, 2, "usage"},
		"http without a URL":      {[]string{"http"}, 2, "usage"},
		"http with something odd": {[]string{"http", "://"}, 1, "no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			code, says := call(append([]string{"probe"}, tc.args...)...)
			if code != tc.code || !strings.Contains(says, tc.says) {
				t.Errorf("exit code %d, want %d: %s", code, tc.code, says)
			}
		})
	}
	for _, args := range [][]string{nil, {"install"}, {"drain", "now"}} {
		if code, says := call(args...); code != 2 || !strings.Contains(says, "usage") {
			t.Errorf("%v: exit code %d: %s", args, code, says)
		}
	}
}
