package wasi

import (
	"io"
	"sync"
)

// bodyReader makes of a blocking reader a stream that can be polled. It reads one chunk ahead, so a body of any size
// costs two chunks, and starts at the first use, so a body that nobody reads costs nothing.
type bodyReader struct {
	from io.Reader

	mu      sync.Mutex
	started bool
	closed  bool
	busy    bool // a read of from is under way
	buffer  []byte
	err     error
	arrived chan struct{} // closed when buffer or err is set
	wanted  chan struct{} // holds one token when the buffer has been used up
}

func newBodyReader(from io.Reader) *bodyReader {
	return &bodyReader{from: from, arrived: make(chan struct{}), wanted: make(chan struct{}, 1)}
}

func (b *bodyReader) take(n int) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	if len(b.buffer) == 0 {
		return nil, b.err
	}
	n = min(n, len(b.buffer))
	p := append([]byte(nil), b.buffer[:n]...) // the reader overwrites its space
	b.buffer = b.buffer[n:]
	if len(b.buffer) == 0 && b.err == nil {
		b.arrived = make(chan struct{})
		if !b.closed {
			b.wanted <- struct{}{}
		}
	}
	return p, nil
}

func (b *bodyReader) ready() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	return b.arrived
}

// ended tells whether all of the body was read.
func (b *bodyReader) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == io.EOF && len(b.buffer) == 0
}

// close ends the reading and tells whether a read is still blocked, which only the owner of from can end.
func (b *bodyReader) close() (blocked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.wanted)
	}
	return b.busy
}

// start is called with the lock held.
func (b *bodyReader) start() {
	if !b.started && !b.closed {
		b.started = true
		b.busy = true
		go b.read()
	}
}

func (b *bodyReader) read() {
	space := make([]byte, chunk)
	for {
		n, err := b.from.Read(space)
		if n == 0 && err == nil {
			continue
		}
		b.mu.Lock()
		b.busy = false
		b.buffer, b.err = space[:n], err
		close(b.arrived)
		b.mu.Unlock()
		if err != nil {
			return
		}
		if _, open := <-b.wanted; !open {
			return
		}
		b.mu.Lock()
		stop := b.closed
		b.busy = !stop
		b.mu.Unlock()
		if stop {
			return
		}
	}
}
