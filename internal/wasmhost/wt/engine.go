//go:build cgo

package wt

// #cgo CFLAGS: -I${SRCDIR}/include
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	_ "github.com/bytecodealliance/wasmtime-go/v39" // links libwasmtime
)

// tickEvery is the grain of deadlines: how often a running component can be interrupted.
const tickEvery = 10 * time.Millisecond

// maxErrorText bounds an error's text: a stack overflow answers with 841 KB of frames.
const maxErrorText = 4096

// EngineConfig names everything that makes compiled code incompatible with other engines; cached code carries it.
const EngineConfig = "component-model,epoch"

// Engine compiles components. It may be used from many goroutines. Close it after its components, linkers and stores.
type Engine struct {
	ptr  *C.wasm_engine_t
	stop chan struct{}
	done sync.WaitGroup
}

// NewEngine starts an engine and the clock that interrupts components.
func NewEngine() (*Engine, error) {
	ptr := C.tw_engine_new()
	if ptr == nil {
		return nil, errors.New("wasmtime could not start an engine")
	}
	e := &Engine{ptr: ptr, stop: make(chan struct{})}
	e.done.Add(1)
	go e.tick()
	return e, nil
}

func (e *Engine) tick() {
	defer e.done.Done()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			C.wasmtime_engine_increment_epoch(e.ptr)
		case <-e.stop:
			return
		}
	}
}

// Close ends the engine.
func (e *Engine) Close() {
	close(e.stop)
	e.done.Wait()
	C.wasm_engine_delete(e.ptr)
}

// takeError makes a Go error of one of wasmtime's and frees it.
func takeError(err *C.wasmtime_error_t) error {
	if err == nil {
		return nil
	}
	defer C.wasmtime_error_delete(err)
	var message C.wasm_name_t
	C.wasmtime_error_message(err, &message)
	defer C.wasm_byte_vec_delete(&message)
	return errors.New(shorten(goString(message.data, message.size)))
}

func shorten(text string) string {
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + fmt.Sprintf(" ... (%d bytes in all)", len(text))
	}
	return strings.TrimSpace(text)
}

func goString(data *C.wasm_byte_t, size C.size_t) string {
	if size == 0 {
		return ""
	}
	return C.GoStringN((*C.char)(data), C.int(size))
}
