package wasmhost_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// fakeEngine runs "components" whose code is a text: what they answer. A text that begins with "bad" does not compile,
// one that begins with "wait" waits for the end of the request. The value of the configuration key "say" wins.
type fakeEngine struct{}

func (fakeEngine) Load(_ context.Context, code []byte) (wasmhost.Component, error) {
	if strings.HasPrefix(string(code), "bad") {
		return nil, errors.New("it does not compile")
	}
	return fakeComponent(code), nil
}

type fakeComponent string

func (c fakeComponent) Close() {}

func (c fakeComponent) Serve(w http.ResponseWriter, r *http.Request, call wasmhost.Call) {
	defer call.Done(nil)
	if strings.HasPrefix(string(c), "wait") {
		<-r.Context().Done()
		return
	}
	text := string(c)
	if say, ok := call.Config()["say"]; ok {
		text = say
	}
	_, _ = fmt.Fprintf(w, "%s %d %s", text, call.MaxMemory, call.MaxTime)
}
