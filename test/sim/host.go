package sim

import (
	"fmt"
	"maps"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Host says how a host is to be.
type Host struct {
	// ID is its public key. Default: one made from the seed.
	ID string
	// Name is its friendly name. Default: one made from the seed.
	Name string
	// Labels besides those of hostcore.
	Labels map[string]string
	// FirstHeartbeat is when the first one comes. Default: after a whole interval, as with real hosts; lattices of many
	// hosts that start at once spread them with it.
	FirstHeartbeat time.Duration
}

// host is one life of a host.
type host struct {
	l     *Lattice
	id    string
	name  string
	label lattice.StringMap
	born  time.Time
	dead  bool
	mute  bool
	held  bool
	out   []func() // what is held back
	again Host     // how it was started

	components map[string]*component
	providers  map[string]*provider
	// busy are the components that a command works on, with those that wait behind it.
	busy map[string][]func()
}

// Start brings up a host and returns its id. A host with that id that still runs is killed first.
func (l *Lattice) Start(o Host) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.start(o)
}

func (l *Lattice) start(o Host) string {
	l.born++
	if o.ID == "" {
		o.ID = HostID(l.config.Seed, l.born)
	}
	name := o.Name
	if name == "" {
		name = friendlyName(l.config.Seed, l.born)
	}
	if old := l.hosts[o.ID]; old != nil {
		l.end(old)
	}
	h := &host{l: l, id: o.ID, name: name, born: time.Now(), again: o, label: lattice.StringMap{
		lattice.LabelArch: "x86_64", lattice.LabelOS: "linux", lattice.LabelOSFamily: "unix",
	}, components: map[string]*component{}, providers: map[string]*provider{}, busy: map[string][]func(){}}
	maps.Copy(h.label, o.Labels)
	l.hosts[h.id], l.sorted = h, nil
	if l.interest != nil {
		l.interest(h.id, true)
	}
	h.emit(lattice.HostStarted{FriendlyName: h.name, Labels: maps.Clone(h.label), Version: hostVersion})
	first := o.FirstHeartbeat
	if first <= 0 {
		first = l.config.Heartbeat
	}
	l.after(first, h.beat)
	return h.id
}

func (h *host) beat() {
	if h.dead {
		return
	}
	h.emit(lattice.HostHeartbeat{Inventory: h.inventory()})
	h.l.after(h.l.config.Heartbeat, h.beat)
}

// end takes a host out of the lattice. What it was about to do does not happen.
func (l *Lattice) end(h *host) {
	h.dead = true
	for _, p := range h.providers {
		l.forget(p)
	}
	delete(l.hosts, h.id)
	delete(l.last, h.id)
	l.sorted = nil
	if l.interest != nil {
		l.interest(h.id, false)
	}
}

// Kill ends a host without a word, as when its process is killed: nobody listens there any more.
func (l *Lattice) Kill(id string) { l.with(id, l.end) }

// Stop ends a host in good order: it says so in an event, and nothing about what ran on it.
func (l *Lattice) Stop(id string) { l.with(id, (*host).stop) }

func (h *host) stop() {
	h.emit(lattice.HostStopped{Labels: maps.Clone(h.label)})
	h.l.end(h)
}

// Mute cuts a host from NATS, or mends that: it runs on, but nothing that is sent to it or by it arrives, as when its
// machine hangs or the network is split. The server still believes that it listens.
func (l *Lattice) Mute(id string, mute bool) { l.with(id, func(h *host) { h.setMute(mute) }) }

// Hold keeps back what a host sends, and releases it all, in order, when held is false: late events and answers.
func (l *Lattice) Hold(id string, held bool) {
	l.with(id, func(h *host) {
		if h.held = held; !held {
			h.release()
		}
	})
}

func (h *host) release() {
	out := h.out
	h.held, h.out = false, nil
	for _, send := range out {
		send()
	}
}

// Restart ends a host without a word and starts it again, empty, with the labels it began with: with the id it had, or
// with a new one. It returns the id.
func (l *Lattice) Restart(id string, sameID bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hosts[id]
	if h == nil {
		return ""
	}
	l.end(h)
	again := h.again
	again.Name = ""
	if again.ID = id; !sameID {
		again.ID = ""
	}
	return l.start(again)
}

// with does something to a host, if it is there.
func (l *Lattice) with(id string, do func(*host)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.hosts[id]; h != nil {
		do(h)
	}
}

func (h *host) inventory() lattice.Inventory {
	up := time.Since(h.born)
	inv := lattice.Inventory{
		HostID: h.id, FriendlyName: h.name, Labels: maps.Clone(h.label), Version: hostVersion,
		UptimeHuman: lattice.HumanUptime(up), UptimeSeconds: uint64(up / time.Second),
	}
	for _, id := range sortedKeys(h.components) {
		inv.Components = append(inv.Components, h.components[id].description())
	}
	for _, id := range sortedKeys(h.providers) {
		inv.Providers = append(inv.Providers, h.providers[id].description())
	}
	return inv
}

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// HostID is the id of the nth host (from 1) of a lattice that names none.
func HostID(seed uint64, n int) string { return key('N', seed, fmt.Sprint("host ", n)) }

// key makes what looks like a public key.
func key(kind byte, seed uint64, of string) string {
	random := newDice(seed).throw(of)
	text := make([]byte, 56)
	text[0] = kind
	for i := 1; i < len(text); i++ {
		text[i] = base32[random.IntN(len(base32))]
	}
	return string(text)
}

var (
	adjectives = []string{"amber", "brave", "calm", "dusty", "eager", "frosty", "gentle", "hidden", "icy", "jolly"}
	nouns      = []string{"field", "glitter", "river", "cloud", "meadow", "harbor", "island", "forest", "canyon", "lake"}
)

func friendlyName(seed uint64, n int) string {
	random := newDice(seed).throw(fmt.Sprint("name ", n))
	return fmt.Sprintf("%s-%s-%04d", adjectives[random.IntN(len(adjectives))], nouns[random.IntN(len(nouns))], random.IntN(10_000))
}
