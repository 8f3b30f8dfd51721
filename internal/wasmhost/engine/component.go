//go:build cgo

package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/wasi"
	"github.com/trellis-operator/trellis/internal/wasmhost/wt"
)

const (
	handlerInterface = "wasi:http/incoming-handler@0.2.0" // 0.2.x is found by it too
	handlerFunction  = "handle"

	// The limit of memory holds for each linear memory, so their number is limited too; a table's element takes 8 bytes.
	maxMemories      = 8
	maxTables        = 64
	maxTableElements = 1 << 20

	// interruptEvery is how long a component computes on after its request is over or its time is up.
	interruptEvery = 50 * time.Millisecond
)

// ErrNoHandler says that a component cannot answer HTTP requests.
var ErrNoHandler = errors.New("the component does not export wasi:http/incoming-handler@0.2")

// component is compiled, linked code.
type component struct {
	engine *Engine
	code   *wt.Component
	linker *wt.Linker
	handle *wt.Export

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

func (e *Engine) prepare(code *wt.Component) (*component, error) {
	handle, ok := code.Export(handlerInterface, handlerFunction)
	if !ok {
		return nil, ErrNoHandler
	}
	linker := e.wt.NewLinker()
	imports := code.Imports()
	homes := e.homes(imports)
	for _, imported := range imports {
		if err := linker.Define(e.offer(imported, homes)); err != nil {
			linker.Close()
			handle.Close()
			return nil, fmt.Errorf("import %s: %w", imported.Name, err)
		}
	}
	e.components.Add(1)
	return &component{engine: e, code: code, linker: linker, handle: handle}, nil
}

// begin keeps the code for a call.
func (c *component) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.calls.Add(1)
	return true
}

// Close implements wasmhost.Component.
func (c *component) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	go func() {
		c.calls.Wait()
		c.handle.Close()
		c.linker.Close()
		c.code.Close()
		c.engine.components.Done()
	}()
}

// Serve implements wasmhost.Component. The component runs in a goroutine of its own: the response ends when the
// component finishes its body, while it may still have something to do.
func (c *component) Serve(w http.ResponseWriter, r *http.Request, call wasmhost.Call) {
	if !wasi.Readable(r) {
		http.Error(w, "The path or the host of the request is not UTF-8.", http.StatusBadRequest)
		call.Done(nil)
		return
	}
	if !c.begin() {
		http.Error(w, "The component has been stopped.", http.StatusServiceUnavailable)
		call.Done(nil)
		return
	}
	exchange := wasi.NewExchange(w, r)
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(r.Context()), call.MaxTime, wasi.ErrDeadline)
	ctx, stop := context.WithCancelCause(ctx)
	clientGone := context.AfterFunc(r.Context(), func() { stop(reason(r.Context())) })
	go func() {
		defer c.calls.Done()
		defer cancel()
		err := c.run(ctx, exchange, call)
		stop(nil)
		call.Done(exchange.Finish(err))
	}()
	<-exchange.Ended()
	clientGone() // from here on the end of the request is not the end of the component
	exchange.Release()
	if exchange.Aborted() {
		panic(http.ErrAbortHandler)
	}
}

var errClientGone = errors.New("the client closed the connection")

// reason is why a request ended before the component did.
func reason(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errClientGone
}

func (c *component) run(ctx context.Context, exchange *wasi.Exchange, call wasmhost.Call) error {
	instance := wasi.NewInstance(ctx, wasi.Host{Config: call.Config, Secret: call.Secret, Log: call.Log})
	defer instance.Close()
	store := c.engine.wt.NewStore(wt.Options{
		Data: instance,
		Limits: wt.Limits{MemoryBytes: call.MaxMemory, Memories: maxMemories, TableElements: maxTableElements, Tables: maxTables,
			Instances: call.MaxCoreInstances},
		Interrupt:      instance.Interrupted,
		InterruptEvery: interruptEvery,
	})
	defer store.Close()
	linked, err := c.linker.Instantiate(store, c.code)
	if err != nil {
		return fmt.Errorf("the component cannot be instantiated: %w", err)
	}
	request, outparam, err := instance.Begin(exchange)
	if err != nil {
		return err
	}
	if err := linked.Call(c.handle, request, outparam); err != nil {
		return explain(err, instance.LastWords())
	}
	return nil
}

// explain adds what the component said before it trapped: wasmtime only knows "unreachable".
func explain(err error, lastWords string) error {
	if lastWords == "" {
		return fmt.Errorf("the component trapped: %w", err)
	}
	return fmt.Errorf("the component trapped: %w; it said: %s", err, strings.TrimSpace(lastWords))
}
