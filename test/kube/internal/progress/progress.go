// Package progress prints what is going on, one line a step, with the time
// since the start and the time of the step.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// longStep is how long a step may stay silent.
const longStep = 30 * time.Second

// Printer writes progress lines. It is safe for concurrent use.
type Printer struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	start time.Time
}

// New returns a printer that counts from now.
func New(out io.Writer, now func() time.Time) *Printer {
	return &Printer{out: out, now: now, start: now()}
}

// Step runs f and prints one line when it is done; f that fails prints
// nothing, because its error is told by whoever gets it. A step of more than
// 30 seconds says every 30 seconds that it is still running.
func (p *Printer) Step(name string, f func() error) error {
	begun := p.now()
	done := make(chan struct{})
	defer close(done)
	go p.remind(name, begun, done)
	if err := f(); err != nil {
		return err
	}
	p.line("%s (%s)", name, seconds(p.now().Sub(begun)))
	return nil
}

// Note prints one line.
func (p *Printer) Note(format string, args ...any) { p.line(format, args...) }

func (p *Printer) remind(name string, begun time.Time, done <-chan struct{}) {
	tick := time.NewTicker(longStep)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			p.line("%s: still at it (%s)", name, seconds(p.now().Sub(begun)))
		}
	}
}

func (p *Printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%8s  %s\n", seconds(p.now().Sub(p.start)), fmt.Sprintf(format, args...))
}

func seconds(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
