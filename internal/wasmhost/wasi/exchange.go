package wasi

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// maxEarly bounds what a component may write before it has set the response.
const maxEarly = 1 << 20

var (
	errNoResponse    = errors.New("the component returned without a response")
	errResponseTwice = errors.New("the component set the response twice")
	errEarlyBody     = errors.New("the component wrote more than 1 MiB before it set the response")
	errUnfinished    = errors.New("the component dropped the body of its response without finishing it")
	errOver          = errors.New("the response has ended")

	// ErrRefused is the cause of a response that the component itself reported as an error.
	ErrRefused = errors.New("the component answered with an error")
	// ErrDeadline is the cause of a context that ended because the component used up its time.
	ErrDeadline error = &TimeoutError{http.StatusGatewayTimeout, "The component ran longer than its maximum execution time"}
)

// TimeoutError is the cause of a context that ended because a time was up, and what to tell the client.
type TimeoutError struct {
	Status int
	Text   string
}

func (e *TimeoutError) Error() string { return e.Text }

// Exchange is one HTTP request and its response. The component's goroutine writes, the server's waits for Ended:
// after that nothing touches the ResponseWriter again, although the component may go on computing.
type Exchange struct {
	request *http.Request
	body    *bodyReader

	mu       sync.Mutex
	writer   http.ResponseWriter
	control  *http.ResponseController
	early    []byte
	status   int // of a head that was set and not yet sent
	head     *fields
	started  bool
	over     bool
	refused  error
	aborted  bool
	trailers *fields
	ended    chan struct{}
}

// NewExchange wraps a request. Its body is read only when the component asks for it.
func NewExchange(w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{request: r, writer: w, control: http.NewResponseController(w), ended: make(chan struct{})}
	_ = x.control.EnableFullDuplex() // HTTP/2 is full duplex anyway and says so with an error
	x.body = newBodyReader(r.Body)
	return x
}

// Ended is closed when the response is complete or given up.
func (x *Exchange) Ended() <-chan struct{} { return x.ended }

// Aborted tells whether the response broke off in the middle: the connection must then be closed without a proper end.
func (x *Exchange) Aborted() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.aborted
}

// Finish ends the exchange after the component has: with its own response where there is one, otherwise with 500, or
// 504 when it ran out of time. It returns the error to report, if any.
func (x *Exchange) Finish(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil {
		err = x.refused
	}
	if x.over {
		return err
	}
	switch {
	case x.started && err == nil:
		x.finish()
	case x.started && x.head == nil:
		x.abort()
	default:
		if err == nil {
			err = errNoResponse
		}
		x.answerFailure(err)
	}
	return err
}

// refuse answers for a component that reported an error instead of a response; the component may go on.
func (x *Exchange) refuse(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over && !x.started {
		x.refused = err
		x.answerFailure(err)
	}
}

func (x *Exchange) answerFailure(err error) {
	status, text := http.StatusInternalServerError, "The component failed. The log of the host says why.\n"
	var timeout *TimeoutError
	if errors.As(err, &timeout) {
		status, text = timeout.Status, timeout.Text+".\n"
	}
	x.started, x.head = true, nil
	x.writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.writer.WriteHeader(status)
	_, _ = x.writer.Write([]byte(text)) // a client that is gone needs no answer
	x.finish()
}

// start takes the head of the response, and sends it if something was written before it. Otherwise the head waits for
// the first byte: a component that fails until then gets a proper 500.
func (x *Exchange) start(status int, head *fields) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.started || x.over {
		return errResponseTwice
	}
	x.started, x.status, x.head = true, status, head
	if len(x.early) == 0 {
		return nil
	}
	early := x.early
	x.early = nil
	return x.send(early)
}

func (x *Exchange) write(p []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return errOver
	}
	if !x.started {
		if len(x.early)+len(p) > maxEarly {
			return errEarlyBody
		}
		x.early = append(x.early, p...)
		return nil
	}
	return x.send(p)
}

func (x *Exchange) sendHead() {
	if x.head == nil {
		return
	}
	h := x.writer.Header()
	h["Content-Type"] = nil // no guessing: the component's type or none
	x.head.copyTo(h, "")
	x.writer.WriteHeader(x.status)
	x.head = nil
}

func (x *Exchange) send(p []byte) error {
	x.sendHead()
	_, err := x.writer.Write(p)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return nil // 204, 304 or HEAD: the component need not care
	}
	return err
}

func (x *Exchange) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || !x.started {
		return nil
	}
	x.sendHead()
	return x.control.Flush()
}

// finishBody is the component's own end of the response.
func (x *Exchange) finishBody(trailers *fields) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trailers = trailers
	if x.started && !x.over {
		x.finish()
	}
}

// abandon is called when the component dropped the body without finishing it.
func (x *Exchange) abandon() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.started || x.over {
		return
	}
	x.refused = errUnfinished
	if x.head != nil {
		x.answerFailure(errUnfinished)
		return
	}
	x.abort()
}

func (x *Exchange) finish() {
	x.sendHead()
	if x.trailers != nil {
		_ = x.control.Flush() // a response that was sent whole has a length and no place for trailers
		x.trailers.copyTo(x.writer.Header(), http.TrailerPrefix)
	}
	x.close()
}

func (x *Exchange) abort() {
	x.aborted = true
	x.close()
}

func (x *Exchange) close() {
	x.over = true
	close(x.ended)
}

// Release ends the reading of the request's body, so that the server can have the connection back. A read that waits
// for a client which sends no more is ended with the connection's read deadline.
func (x *Exchange) Release() {
	if blocked := x.body.close(); blocked {
		_ = x.control.SetReadDeadline(time.Now()) // not supported means that the server ends the read itself
	}
}
