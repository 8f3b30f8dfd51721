package wasi

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/wasmhost/cm"
)

func TestSecrets(t *testing.T) {
	values := map[string]any{"text": "opensesame", "bytes": []byte{0, 255}, "empty": ""}
	g := newGuest(t, Host{Secret: func(name string) (any, bool) { v, ok := values[name]; return v, ok }})
	for name, want := range map[string]cm.Variant{
		"text": {Case: "string", Value: "opensesame"}, "bytes": {Case: "bytes", Value: []byte{0, 255}}, "empty": {Case: "string", Value: ""},
	} {
		handle := g.must("wasmcloud:secrets/store#get", name).(cm.Result).Value.(cm.Resource)
		if diff := cmp.Diff(want, g.must("wasmcloud:secrets/reveal#reveal", handle)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if err := g.in.Drop(handle.Rep); err != nil {
			t.Error(err)
		}
		if _, err := g.call("wasmcloud:secrets/reveal#reveal", handle); !errors.Is(err, errNoResource) {
			t.Errorf("a handle that was dropped reveals %s: %v", name, err)
		}
	}
	want := cm.Err(cm.Variant{Case: "not-found"})
	if diff := cmp.Diff(want, g.must("wasmcloud:secrets/store#get", "gone")); diff != "" {
		t.Errorf("a secret that is not there (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, newGuest(t, Host{}).must("wasmcloud:secrets/store#get", "text")); diff != "" {
		t.Errorf("a host without secrets (-want +got):\n%s", diff)
	}
	stream := g.must("wasi:cli/stdin#get-stdin").(cm.Resource)
	if _, err := g.call("wasmcloud:secrets/reveal#reveal", stream); !errors.Is(err, errNoResource) {
		t.Errorf("another resource: %v", err)
	}
}
