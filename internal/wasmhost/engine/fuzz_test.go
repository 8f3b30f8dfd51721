//go:build cgo

package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// FuzzRequest sends whatever to a component that gives back the body. Anything may be refused; the process, and with it
// this test, must survive, and a request that is proper must be answered afterwards.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\xff?\xfe HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: \xff\r\nX: \xff\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\xff\xff\xff", "G\xe2\x82T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\na\r\n0\r\nX: \xff\r\n\r\n",
		"GET http://\xff/\xff HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT \xff:1 HTTP/1.1\r\nHost: \xff:1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	s := serve(f, readFixture(f, "echo.wasm"), wasmhost.Call{MaxTime: time.Second})
	address := strings.TrimPrefix(s.url, "http://")
	f.Fuzz(func(t *testing.T, request []byte) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
		_, _ = conn.Write(request)
		_ = conn.(*net.TCPConn).CloseWrite()
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		if status, body, err := fetch(t, http.MethodPost, s.url, strings.NewReader("still there")); err != nil || status != 200 || body != "still there" {
			t.Errorf("after %q: %d %q, %v", request, status, body, err)
		}
	})
}
