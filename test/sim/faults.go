package sim

import "time"

// Faults are what goes wrong with messages and images. Chances are between 0 and 1. The zero value is a lattice in which
// everything works.
type Faults struct {
	// LoseCommand, LoseReply and LoseEvent are chances that a message never arrives.
	LoseCommand, LoseReply, LoseEvent float64
	// TwiceReply and TwiceEvent are chances that a message arrives two times.
	TwiceReply, TwiceEvent float64
	// DelayReply and DelayEvent hold messages back, and keep their order where the range is one time.
	DelayReply, DelayEvent Range
	// LateEvent is the chance that an event is held back by LateBy: those after it overtake it.
	LateEvent float64
	LateBy    Range
	// WrongEvent is the chance that after an event a wrong one follows: one that cannot be read, one of a kind that nobody
	// knows, or the event before once more.
	WrongEvent float64
	// Failing are images that cannot be started, by reference as in the command, with the host's text.
	Failing map[string]string
	// FailStart is the chance that a start fails although the image is good, with the text FailText.
	FailStart float64
	FailText  string
	// Flapping are ids of providers whose health changes with each check.
	Flapping map[string]bool
}

const defaultFailText = "failed to fetch component: failed to pull: registry did not answer in time"

// outageAnswer is how long a host waits for buckets that do not answer.
const outageAnswer = 5 * time.Second

// SetFaults changes the faults: change gets what is set, with maps that are its own.
func (l *Lattice) SetFaults(change func(*Faults)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.faults.Failing == nil {
		l.faults.Failing = map[string]string{}
	}
	if l.faults.Flapping == nil {
		l.faults.Flapping = map[string]bool{}
	}
	change(&l.faults)
}

// ClearFaults makes everything work again, hosts that are mute or held back included.
func (l *Lattice) ClearFaults() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = Faults{}
	l.setBucketsDown(false)
	for _, id := range l.sortedHosts() {
		h := l.hosts[id]
		h.setMute(false)
		h.release()
	}
}

// SetBucketsDown is an outage of JetStream: commands that need a bucket fail after a while, and watches say nothing.
func (l *Lattice) SetBucketsDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setBucketsDown(down)
}

func (l *Lattice) setBucketsDown(down bool) {
	l.bucketsDown = down
	if b, ok := l.buckets.(interface{ SetDown(bool) }); ok {
		b.SetDown(down)
	}
}

// failure is why an image does not start now; empty when it does.
func (l *Lattice) failure(host, id, ref string) string {
	if text := l.faults.Failing[ref]; text != "" {
		return text
	}
	if l.faults.FailStart > 0 && l.dice.throw("fail", host, id, ref).Float64() < l.faults.FailStart {
		if l.faults.FailText != "" {
			return l.faults.FailText
		}
		return defaultFailText
	}
	return ""
}

func (l *Lattice) happens(chance float64, parts ...string) bool {
	return chance > 0 && l.dice.throw(parts...).Float64() < chance
}
