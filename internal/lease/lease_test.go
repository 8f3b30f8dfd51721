package lease

import (
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// TestHandOver: a holder that leaves hands the lease over at once; everybody else waits for the next.
func TestHandOver(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	j := &journal{}
	first := quick(connect(t, server.ClientURL(), nil), "first")
	first.Sole = true
	a := play(t, j, first, nil)
	began := time.Now()
	if at := receive(t, "the first leads", a.leading); at.Sub(began) > first.TTL {
		t.Errorf("alone, and it took %s to lead", at.Sub(began))
	}
	b := play(t, j, quick(connect(t, server.ClientURL(), nil), "second"), nil)
	seen := j.len()
	j.next(t, seen, "the first goes on for two TTLs", func(x act) bool { return x.at.After(began.Add(2 * first.TTL)) })
	if b.lease.Valid() || len(b.leading) > 0 {
		t.Error("two hold the lease")
	}
	a.leave()
	ended := receive(t, "the first ends", a.ended)
	if took := receive(t, "the second leads", b.leading).Sub(ended); took > first.TTL {
		t.Errorf("a lease that was handed over was taken after %s", took)
	}
	if a.lease.Valid() {
		t.Error("the lease of the first is valid after its end")
	}
	if n := j.late(); n > 0 {
		t.Errorf("%d acts after somebody else had acted", n)
	}
}

// TestLostHolders: of five contenders the holder's network breaks or stalls, again and again. It stops in time, and one of
// the others leads after no less than the TTL and the time of a command.
func TestLostHolders(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	j := &journal{}
	players := five(t, server, j)
	for round := range 4 {
		holder := players[j.next(t, j.len(), "somebody acts", func(act) bool { return true }).holder]
		cut := time.Now()
		holder.gate.set(round%2 == 0, round%2 == 1)
		after := j.next(t, j.len(), "somebody else acts", func(x act) bool { return x.holder != holder.name })
		c := holder.lease.config
		if took := after.at.Sub(cut); took < c.TTL-c.Renew || took > c.TTL+c.CommandTimeout+10*time.Second {
			t.Errorf("round %d: taken over after %s", round, took)
		}
		if holder.lease.Valid() {
			t.Errorf("round %d: the lease of the lost holder is valid", round)
		}
		holder.gate.set(false, false)
	}
	if n := j.late(); n > 0 {
		t.Errorf("%d acts after somebody else had acted", n)
	}
}

// TestLostMemory: the server restarts and has forgotten the leases.
func TestLostMemory(t *testing.T) {
	t.Parallel()
	server := natsd.Run(t, natsd.Options{})
	j := &journal{}
	five(t, server, j)
	last := j.next(t, j.len(), "somebody acts", func(act) bool { return true })
	js, err := newJetStream(connect(t, server.ClientURL(), nil), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), Bucket); err != nil {
		t.Fatal(err)
	}
	j.next(t, j.len(), "a next term", func(x act) bool { return x.term > last.term })
	if n := j.late(); n > 0 {
		t.Errorf("%d acts after somebody else had acted", n)
	}
}

func TestKey(t *testing.T) {
	for want, names := range map[string][2]string{
		"cluster.default": {"cluster", "default"}, "a=2Eb.c": {"a.b", "c"}, "a.b=2Ec": {"a", "b.c"}, "=3D.=20": {"=", " "},
	} {
		if got := key(names[0], names[1]); got != want {
			t.Errorf("key(%q, %q) = %q, want %q", names[0], names[1], got, want)
		}
	}
}

func TestNew_Errors(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	conn := connect(t, server.ClientURL(), nil)
	for name, c := range map[string]Config{
		"no connection":   {Cluster: "c", Lattice: "l"},
		"no cluster":      {Conn: conn, Lattice: "l"},
		"no lattice":      {Conn: conn, Cluster: "c"},
		"no time to work": {Conn: conn, Cluster: "c", Lattice: "l", TTL: time.Second, Margin: time.Second},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
