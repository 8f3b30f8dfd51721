package helper

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// operator answers questions of drainers on a NATS server: the first with the first answer, and so on, and all further
// ones with the last. An empty answer is none.
func operator(t *testing.T, answers ...string) (address string, asked *atomic.Int64) {
	t.Helper()
	server := natsd.Run(t, natsd.Options{}).ClientURL()
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int64{}
	if len(answers) == 0 {
		return at.Host, asked
	}
	conn, err := nats.Connect(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	_, err = conn.Subscribe("trellis.drain.default", func(m *nats.Msg) {
		n := int(asked.Add(1))
		if string(m.Data) != `{"podUID":"p"}` {
			t.Errorf("the question is %s", m.Data)
		}
		if answer := answers[min(n, len(answers))-1]; answer != "" {
			_ = m.Respond([]byte(answer)) // who asked may have ended
		}
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return at.Host, asked
}

func TestDrain(t *testing.T) {
	const loaded, empty, unknown = `{"known":true,"components":2,"providers":1}`, `{"known":true,"components":0,"providers":0}`, `{"known":false}`
	const least, silence, settle, timeout = 50 * time.Millisecond, 300 * time.Millisecond, 70 * time.Millisecond, 900 * time.Millisecond
	for name, tc := range map[string]struct {
		answers []string
		least   time.Duration // that it takes
		asks    int64
		says    string
	}{
		"emptied":              {[]string{loaded, loaded, empty}, settle, 3, "runs elsewhere now"},
		"empty from the start": {[]string{empty}, least, 2, "nothing runs here"},
		"unknown":              {[]string{unknown}, least, 2, "does not know this host"},
		"never emptied":        {[]string{loaded}, timeout, 3, "2 components and 1 providers are left"},
		"no operator":          {nil, silence, 0, "no operator looks after the lattice"},
		"an operator that looks for itself first": {[]string{"", loaded, empty}, settle, 3, "runs elsewhere now"},
		"an operator that goes away":              {[]string{loaded, ""}, silence, 3, "does not answer"},
		"something else":                          {[]string{"x"}, silence, 2, "not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, asked := operator(t, tc.answers...)
			d := drainer{address: address, subject: "trellis.drain.default", podUID: "p", timeout: timeout,
				every: 10 * time.Millisecond, answer: 100 * time.Millisecond, least: least, silence: silence, settle: settle}
			began := time.Now()
			says := d.run(t.Context())
			took := time.Since(began)
			if !strings.Contains(says, tc.says) || took < tc.least || asked.Load() < tc.asks {
				t.Errorf("after %s and %d questions it says %q", took, asked.Load(), says)
			}
		})
	}
}

// A leaf that is away does not keep a host from ending, and the program has no other end than success.
func TestDrain_NoLeaf(t *testing.T) {
	code, says := call("drain", "--lattice", "default", "--address", "127.0.0.1:1", "--timeout", "100ms")
	if code != 0 || !strings.Contains(says, "the time is over, after 100ms: nothing listens on 127.0.0.1:1") {
		t.Errorf("exit code %d: %s", code, says)
	}
	for _, args := range [][]string{{"drain", "--lattice"}, {"drain", "--timeout", "1s"}, {"drain", "--lattice", "x", "y"}} {
		if code, says := call(args...); code != 2 {
			t.Errorf("%v: exit code %d: %s", args, code, says)
		}
	}
}

// What a server says may be anything.
func TestDrain_OddServers(t *testing.T) {
	for _, lines := range [][]string{{"MSG x"}, {"MSG x 1 -5"}, {"MSG x 1 99999999999"}, {"-ERR 'Authorization Violation'"}, {"PING", "PING"}} {
		address := speak(t, append([]string{`INFO {"server_id":"x"}`}, lines...)...)
		d := drainer{address: address, subject: "s", podUID: "p", timeout: 200 * time.Millisecond, every: time.Millisecond,
			answer: 50 * time.Millisecond, silence: 60 * time.Millisecond}
		if says := d.run(t.Context()); says == "" || strings.Contains(says, "runs") {
			t.Error(fmt.Sprint(lines, ": ", says))
		}
	}
}
