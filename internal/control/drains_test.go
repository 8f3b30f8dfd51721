package control_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsd"
)

func TestServeDrains(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	client, asker := newClient(t, url, control.Options{}), connect(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	done, err := client.ServeDrains(ctx, func(uid string) (lattice.DrainAnswer, bool) {
		return lattice.DrainAnswer{Known: true, Components: len(uid)}, uid != "looking"
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(body string, wait time.Duration) (*nats.Msg, error) {
		return asker.Request("trellis.drain.default", []byte(body), wait)
	}
	msg, err := ask(`{"podUID":"abc","more":1}`, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(msg.Data, &fields); err != nil || fields["known"] != true || fields["components"] != 3.0 || fields["providers"] != 0.0 {
		t.Errorf("the answer is %s", msg.Data)
	}
	for _, body := range []string{`{"podUID":"looking"}`, `{"podUID":""}`, `{}`, `x`, ``} {
		if msg, err := ask(body, 50*time.Millisecond); err == nil {
			t.Errorf("%q is answered with %s", body, msg.Data)
		}
	}
	cancel()
	<-done
	waitFor(t, "nobody to answer", func() bool {
		_, err := ask(`{"podUID":"abc"}`, time.Second)
		return err == nats.ErrNoResponders //nolint:errorlint // returned as it is
	})
}
