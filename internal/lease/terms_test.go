package lease

import (
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/natsd"
)

func never(t *testing.T, j *journal) {
	t.Helper()
	if n := j.late(); n != 0 {
		t.Errorf("%d acts of a term after the next one had begun", n)
	}
}

func stored(t *testing.T, conn *nats.Conn) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	var kv jetstream.KeyValue
	eventually(t, "the lease is stored", func() bool {
		if kv, err = js.KeyValue(t.Context(), Bucket); err != nil {
			return false
		}
		_, err = kv.Get(t.Context(), key("test", "default"))
		return err == nil
	})
	return kv
}

// Each way for a term to end, one after another, among five.
func TestOneOfFiveActs(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	j := &journal{}
	players := five(t, server, j)
	first := j.next(t, 0, "a first act", func(act) bool { return true })

	// The holder falls silent: its messages stay under way, and arrive when another one has taken over.
	players[first.holder].gate.set(true, false)
	second := j.next(t, j.len(), "another one takes over", func(a act) bool { return a.holder != first.holder })
	players[first.holder].gate.set(false, false)

	// The holder goes in good order.
	players[second.holder].leave()
	<-players[second.holder].done
	third := j.next(t, j.len(), "a third one takes over", func(a act) bool { return a.term > second.term })

	// The holder's connection breaks for good.
	players[third.holder].gate.set(false, true)
	j.next(t, j.len(), "a fourth one takes over", func(a act) bool { return a.term > third.term })
	never(t, j)
}

// With the times of production, a hand-over takes less than a second.
func TestHandOver_DefaultTimes(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	j := &journal{}
	config := func() Config { return Config{Conn: connect(t, server.ClientURL(), nil), Cluster: "c", Lattice: "l"} }
	first := config()
	first.Sole = true
	began := time.Now()
	a := play(t, j, first, nil)
	if at := receive(t, "the sole one leads", a.leading); at.Sub(began) > time.Second {
		t.Errorf("the sole contender led after %s", at.Sub(began))
	}
	b := play(t, j, config(), nil)
	for range 3 {
		left := time.Now()
		a.leave()
		if at := receive(t, "the next one leads", b.leading); at.Sub(left) >= time.Second {
			t.Errorf("the hand-over took %s", at.Sub(left))
		}
		<-a.done
		a, b = b, play(t, j, config(), nil)
	}
	never(t, j)
}

// Who goes before it has acted leaves nothing that would let its successor begin at once.
func TestHandOver_BeforeLeading(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	conn := connect(t, server.ClientURL(), nil)
	j := &journal{}
	config := quick(conn, "a")
	config.CommandTimeout = 5 * time.Second // for this one, so that it never begins
	made := time.Now()
	a := play(t, j, config, nil)
	stored(t, conn)
	a.leave()
	<-a.done
	if len(a.leading) > 0 {
		t.Fatal("the first one led before it could leave")
	}
	b := play(t, j, quick(conn, "b"), nil)
	if at := receive(t, "the next one leads", b.leading); at.Sub(made) < quick(conn, "").CommandTimeout {
		t.Errorf("it led %s after the lease was made", at.Sub(made))
	}
}

func TestSuccessorWaits(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	j := &journal{}
	g := newGate()
	config := quick(connect(t, server.ClientURL(), g), "a")
	config.Sole = true
	a := play(t, j, config, g)
	receive(t, "the first one leads", a.leading)
	b := play(t, j, quick(connect(t, server.ClientURL(), nil), "b"), nil)
	eventually(t, "the first one may act", a.lease.Valid)

	cut := time.Now()
	g.set(false, true)
	if at := receive(t, "the term ends with the connection", a.ended); at.Sub(cut) > time.Second {
		t.Errorf("the term ended %s after the connection", at.Sub(cut))
	}
	if a.lease.Valid() {
		t.Error("the lease is valid without a connection")
	}
	at := receive(t, "the second one leads", b.leading)
	if least := config.TTL + config.CommandTimeout - 2*config.Renew; at.Sub(cut) < least {
		t.Errorf("it led %s after the connection was cut, too early; %s must pass", at.Sub(cut), least)
	}
	never(t, j)
}

// A connection that comes back in time finds its own lease, and needs not wait.
func TestReconnect(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	g := newGate()
	config := Config{
		Conn: connect(t, server.ClientURL(), g), Cluster: "c", Lattice: "l", Sole: true,
		TTL: 20 * time.Second, CommandTimeout: 20 * time.Second,
	}
	a := play(t, &journal{}, config, g)
	receive(t, "it leads", a.leading)
	cut := time.Now()
	g.set(false, true)
	if at := receive(t, "the term ends with the connection", a.ended); at.Sub(cut) > config.TTL/4 {
		t.Errorf("the term ended %s after the connection", at.Sub(cut))
	}
	g.set(false, false)
	if at := receive(t, "it leads again", a.leading); at.Sub(cut) > config.TTL {
		t.Errorf("it led again after %s", at.Sub(cut))
	}
}

func TestServerRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := natsd.Start(natsd.Options{StoreDir: dir, Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	players := five(t, server, j)
	first := j.next(t, 0, "a first act", func(act) bool { return true })
	server.Shutdown()
	receive(t, "the term ends with the server", players[first.holder].ended)
	back := time.Now()
	again := natsd.Run(t, natsd.Options{StoreDir: dir, Port: port})
	next := j.next(t, j.len(), "somebody leads after the restart", func(a act) bool { return a.term > first.term })
	config := quick(nil, "")
	if waited := next.at.Sub(back); waited < config.TTL+config.CommandTimeout {
		t.Errorf("it led %s after the restart: nobody could know when the lost lease was renewed", waited)
	}
	stored(t, connect(t, again.ClientURL(), nil))
	never(t, j)
}

// A lease that somebody deletes by hand ends the term, and proves nothing to the next holder.
func TestKeyDeleted(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	conn := connect(t, server.ClientURL(), nil)
	a := play(t, &journal{}, quick(conn, "a"), nil)
	receive(t, "it leads", a.leading)
	kv := stored(t, conn)
	deleted := time.Now()
	if err := kv.Delete(t.Context(), key("test", "default")); err != nil {
		t.Fatal(err)
	}
	receive(t, "the term ends", a.ended)
	if at := receive(t, "it leads again", a.leading); at.Sub(deleted) < quick(nil, "").CommandTimeout {
		t.Errorf("it led again %s after its lease was deleted", at.Sub(deleted))
	}
}

func TestLeasesAreSeparate(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	conn := connect(t, server.ClientURL(), nil)
	for _, name := range [][2]string{{"a", "b.c"}, {"a.b", "c"}, {"a", "b"}, {"b", "b"}} {
		config := quick(conn, "")
		config.Cluster, config.Lattice = name[0], name[1]
		receive(t, "each one leads its own", play(t, &journal{}, config, nil).leading)
	}
}

func TestValid_Margin(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	var ahead atomic.Int64
	config := Config{
		Conn: connect(t, server.ClientURL(), nil), Cluster: "c", Lattice: "l", Sole: true,
		TTL: 10 * time.Second, Renew: 2 * time.Second, Margin: 5 * time.Second,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}
	a := play(t, &journal{}, config, nil)
	receive(t, "it leads", a.leading)
	if !a.lease.Valid() {
		t.Error("the lease is not valid at the beginning of the term")
	}
	ahead.Store(int64(6 * time.Second))
	if a.lease.Valid() {
		t.Error("the lease is valid within its margin")
	}
	eventually(t, "it is valid again after a renewal", a.lease.Valid)
	ahead.Store(int64(time.Minute))
	if a.lease.Valid() {
		t.Error("the lease is valid after its end")
	}
	receive(t, "a term that was not renewed in time ends", a.ended)
}

func TestHold_ClosedConnection(t *testing.T) {
	t.Parallel()
	conn := connect(t, natsd.Run(t, natsd.Options{}).ClientURL(), nil)
	l, err := New(quick(conn, "a"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := l.Hold(t.Context(), nil); err == nil || !strings.Contains(err.Error(), `"default"`) {
		t.Errorf("Hold over a closed connection returned %v", err)
	}
}
