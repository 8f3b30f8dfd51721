package wasi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

// guest calls the host's functions as a component would.
type guest struct {
	t   *testing.T
	in  *Instance
	all map[string]Interface
}

func newGuest(t *testing.T, host Host) *guest {
	in := NewInstance(t.Context(), host)
	t.Cleanup(in.Close)
	return &guest{t: t, in: in, all: Interfaces()}
}

func (g *guest) call(name string, args ...any) (any, error) {
	g.t.Helper()
	instance, function, _ := strings.Cut(name, "#")
	f, ok := g.all[instance].Functions[function]
	if !ok {
		g.t.Fatalf("%s is not offered", name)
	}
	return f(g.in, args)
}

func (g *guest) must(name string, args ...any) any {
	g.t.Helper()
	v, err := g.call(name, args...)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return v
}

const types = "wasi:http/types#"

func TestFields(t *testing.T) {
	g := newGuest(t, Host{})
	f := g.must(types + "[constructor]fields")
	result := func(v any) string {
		r := v.(cm.Result)
		if !r.Failed {
			return "ok"
		}
		return r.Value.(cm.Variant).Case
	}
	for what, c := range map[string]struct{ name, value, want string }{
		"proper":        {"X-One", "1", "ok"},
		"bytes":         {"x-bytes", "\xff\x80", "ok"},
		"bad name":      {"a b", "1", "invalid-syntax"},
		"no name":       {"", "1", "invalid-syntax"},
		"line feed":     {"x", "a\nb", "invalid-syntax"},
		"of connection": {"Transfer-Encoding", "chunked", "forbidden"},
		"host":          {"host", "x", "forbidden"},
	} {
		if got := result(g.must(types+"[method]fields.append", f, c.name, []byte(c.value))); got != c.want {
			t.Errorf("%s: %s; want %s", what, got, c.want)
		}
	}
	g.must(types+"[method]fields.append", f, "x-one", []byte("2"))
	if got := g.must(types+"[method]fields.get", f, "X-ONE"); !cmp.Equal(got, cm.List{[]byte("1"), []byte("2")}) {
		t.Errorf("get: %v", got)
	}
	g.must(types+"[method]fields.set", f, "x-one", cm.List{[]byte("3")})
	if got := g.must(types+"[method]fields.get", f, "x-one"); !cmp.Equal(got, cm.List{[]byte("3")}) {
		t.Errorf("after set: %v", got)
	}
	g.must(types+"[method]fields.delete", f, "x-one")
	if g.must(types+"[method]fields.has", f, "x-one").(bool) {
		t.Error("has after delete")
	}
	if _, err := g.call(types+"[method]fields.append", f, "x-big", bytes.Repeat([]byte("x"), maxFieldBytes)); !errors.Is(err, errFieldsTooLarge) {
		t.Errorf("too large: %v", err)
	}
	big := bytes.Repeat([]byte("x"), maxFieldBytes-10)
	for n := 0; ; n++ {
		_, err := g.call(types+"[method]fields.append", g.must(types+"[constructor]fields"), "x", big)
		if errors.Is(err, errFieldsTooLarge) {
			break
		}
		if err != nil || n > maxAllFieldBytes/len(big) {
			t.Fatalf("after %d of %d bytes: %v", n, len(big), err)
		}
	}
}

// TestTable: a number that a component should not have is never somebody else's thing.
func TestTable(t *testing.T) {
	g := newGuest(t, Host{})
	f := g.must(types + "[constructor]fields").(cm.Resource)
	for what, handle := range map[string]cm.Resource{
		"another kind":  {Kind: uint32(KindPollable), Rep: f.Rep},
		"never given":   {Kind: f.Kind, Rep: 4711},
		"wrongly named": {Kind: uint32(KindOutgoingBody), Rep: f.Rep},
	} {
		if _, err := g.call(types+"[method]fields.entries", handle); !errors.Is(err, errNoResource) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := g.in.Drop(f.Rep); err != nil {
		t.Fatal(err)
	}
	if err := g.in.Drop(f.Rep); !errors.Is(err, errNoResource) {
		t.Errorf("dropped twice: %v", err)
	}
	for {
		if _, err := g.call(types + "[constructor]fields"); err != nil {
			if !errors.Is(err, errTooManyResources) {
				t.Error(err)
			}
			return
		}
	}
}

func TestPoll(t *testing.T) {
	g := newGuest(t, Host{})
	after := func(d time.Duration) any { return g.must("wasi:clocks/monotonic-clock#subscribe-duration", uint64(d)) }
	never, soon := after(time.Hour), after(10*time.Millisecond)
	if got := g.must("wasi:io/poll#poll", cm.List{never, soon}); !cmp.Equal(got, cm.List{uint32(1)}) {
		t.Errorf("ready: %v", got)
	}
	now := g.must("wasi:clocks/monotonic-clock#now").(uint64)
	past := g.must("wasi:clocks/monotonic-clock#subscribe-instant", now-1)
	g.must("wasi:io/poll#[method]pollable.block", past)
	if _, err := g.call("wasi:io/poll#poll", cm.List{}); !errors.Is(err, errEmptyPoll) {
		t.Errorf("empty list: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	g.in = NewInstance(ctx, Host{})
	waits := after(time.Hour)
	gone := errors.New("gone")
	time.AfterFunc(10*time.Millisecond, func() { cancel(gone) })
	if _, err := g.call("wasi:io/poll#poll", cm.List{waits}); !errors.Is(err, gone) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestConfigAndDenials(t *testing.T) {
	g := newGuest(t, Host{Config: func() map[string]string { return map[string]string{"b": "2", "a": "1"} }})
	for call, want := range map[string]any{
		"wasi:config/runtime#get a":                             cm.OK(cm.Some("1")),
		"wasi:config/store#get c":                               cm.OK(cm.None()),
		"wasi:config/store#get-all":                             cm.OK(cm.List{cm.Tuple{"a", "1"}, cm.Tuple{"b", "2"}}),
		"wasi:filesystem/preopens#get-directories":              cm.List{},
		"wasi:cli/environment#get-environment":                  cm.List{},
		"wasi:sockets/tcp-create-socket#create-tcp-socket ipv4": cm.Err(cm.Enum("access-denied")),
		"wasi:sockets/udp-create-socket#create-udp-socket ipv4": cm.Err(cm.Enum("access-denied")),
		"wasi:sockets/ip-name-lookup#resolve-addresses x":       cm.Err(cm.Enum("access-denied")),
		"wasi:cli/terminal-stdout#get-terminal-stdout":          cm.None(),
	} {
		name, arg, has := strings.Cut(call, " ")
		args := []any{}
		if has {
			args = append(args, arg)
		}
		if got := g.must(name, args...); !cmp.Equal(got, want) {
			t.Errorf("%s: %v; want %v", call, got, want)
		}
	}
	if _, err := g.call("wasi:random/random#get-random-bytes", uint64(1<<40)); !errors.Is(err, errTooMuchRandom) {
		t.Errorf("a terabyte of random: %v", err)
	}
	if _, err := g.call("wasi:cli/exit#exit", cm.OK(nil)); !errors.Is(err, errExit) {
		t.Errorf("exit: %v", err)
	}
}

// TestOutgoingRequest: libraries may build one; sending it is refused.
func TestOutgoingRequest(t *testing.T) {
	g := newGuest(t, Host{})
	r := g.must(types+"[constructor]outgoing-request", g.must(types+"[constructor]fields"))
	g.must(types+"[method]outgoing-request.set-authority", r, cm.Some("example.com"))
	if got := g.must(types+"[method]outgoing-request.authority", r); !cmp.Equal(got, cm.Some("example.com")) {
		t.Errorf("authority: %v", got)
	}
	body := g.must(types+"[method]outgoing-request.body", r).(cm.Result).Value
	stream := g.must(types+"[method]outgoing-body.write", body).(cm.Result).Value
	g.must("wasi:io/streams#[method]output-stream.blocking-write-and-flush", stream, []byte("x"))
	g.must(types+"[static]outgoing-body.finish", body, cm.None())
	got := g.must("wasi:http/outgoing-handler#handle", r, cm.None())
	if !cmp.Equal(got, cm.Err(cm.Variant{Case: "HTTP-request-denied"})) {
		t.Errorf("handle: %v", got)
	}
}

// TestExchange plays a component by hand: a request with a body and trailers in, a response with trailers out.
func TestExchange(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := newGuest(t, Host{})
		x := NewExchange(w, r)
		request, out, err := g.in.Begin(x)
		if err != nil {
			t.Error(err)
		}
		body := g.must(types+"[method]incoming-request.consume", request).(cm.Result).Value
		if !g.must(types+"[method]incoming-request.consume", request).(cm.Result).Failed {
			t.Error("consumed twice")
		}
		in := g.must(types+"[method]incoming-body.stream", body).(cm.Result).Value
		var sent []byte
		for {
			v := g.must("wasi:io/streams#[method]input-stream.blocking-read", in, uint64(3)).(cm.Result)
			if v.Failed {
				break
			}
			sent = append(sent, v.Value.([]byte)...)
		}
		trailers := g.must(types+"[static]incoming-body.finish", body)
		seen := g.must(types+"[method]future-trailers.get", trailers).(cm.Option).Value.(cm.Result).Value.(cm.Result).Value.(cm.Option)
		response := g.must(types+"[constructor]outgoing-response", g.must(types+"[constructor]fields"))
		g.must(types+"[method]outgoing-response.set-status-code", response, uint16(201))
		back := g.must(types+"[method]outgoing-response.body", response).(cm.Result).Value
		stream := g.must(types+"[method]outgoing-body.write", back).(cm.Result).Value
		g.must("wasi:io/streams#[method]output-stream.write", stream, sent) // before the response is set
		g.must(types+"[static]response-outparam.set", out, cm.OK(response))
		g.must(types+"[static]outgoing-body.finish", back, seen)
		if err := x.Finish(nil); err != nil {
			t.Error(err)
		}
		<-x.Ended()
		x.Release()
	}))
	defer server.Close()
	request, err := http.NewRequest(http.MethodPost, server.URL, io.MultiReader(strings.NewReader("streamed")))
	if err != nil {
		t.Fatal(err)
	}
	request.Trailer = http.Header{"X-Sum": {"42"}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 201 || string(body) != "streamed" || response.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%d %q %v, %v", response.StatusCode, body, response.Trailer, err)
	}
}

func TestLineLog(t *testing.T) {
	var lines []string
	l := lineLog{emit: func(line string) { lines = append(lines, line) }}
	for _, p := range []string{"a", "b\nc\n\nd", "\xff\n", strings.Repeat("x", maxLine+10) + "\n", "rest"} {
		if err := l.write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	l.flushLine()
	want := []string{"ab", "c", "d?", strings.Repeat("x", maxLine), "rest"}
	if !cmp.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if tail := l.tail(); !strings.HasSuffix(tail, "rest") || len(tail) > maxTail {
		t.Errorf("tail of %d bytes", len(tail))
	}
}
