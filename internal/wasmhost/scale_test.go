package wasmhost_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// TestScale walks through the table of scale commands.
func TestScale(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	first, second := program(t, "one"), program(t, "two")
	url := w.serve("app", first, 2, nil)
	scale := func(c lattice.ScaleComponent) string {
		t.Helper()
		c.ComponentID, c.HostID = "app", w.host
		notice, err := w.client.ScaleComponent(ctx, c)
		w.must(err)
		return notice
	}
	seen := func(max uint32, ref string) {
		t.Helper()
		w.event(lattice.KindComponentScaled, func(e lattice.Event) bool {
			d := e.Data.(lattice.ComponentScaled)
			return d.MaxInstances == max && d.ImageRef == fileRef(t, ref)
		})
	}
	says := func(text string) {
		t.Helper()
		w.eventually("the answer "+text, func() bool { _, body := get(t, url); return strings.HasPrefix(body, text+" ") })
	}
	if notice := scale(lattice.ScaleComponent{ComponentRef: fileRef(t, first), Count: 5}); notice != "" {
		t.Errorf("notice %q", notice)
	}
	seen(5, first)
	if notice := scale(lattice.ScaleComponent{ComponentRef: fileRef(t, second), Count: 6}); !lattice.IsOtherRef(notice) {
		t.Errorf("notice %q", notice)
	}
	seen(6, first)
	says("one")
	scale(lattice.ScaleComponent{ComponentRef: fileRef(t, second), Count: 7, AllowUpdate: true, Annotations: map[string]string{"kept": "yes"}})
	seen(7, second)
	says("two")
	i, err := w.client.HostInventory(ctx, w.host)
	if err != nil || i.Components[0].ImageRef != fileRef(t, second) || i.Components[0].Annotations["kept"] != "yes" {
		t.Errorf("inventory after the update: %+v, %v", i.Components, err)
	}
	scale(lattice.ScaleComponent{ComponentRef: fileRef(t, second), Count: 0})
	seen(0, second)
	w.eventually("503 without the component", func() bool { status, _ := get(t, url); return status == http.StatusServiceUnavailable })
	scale(lattice.ScaleComponent{ComponentRef: fileRef(t, first), Count: 1, Limits: map[string]string{lattice.LimitMaxMemory: "77", lattice.LimitMaxExecutionTime: "9"}})
	says("one 77")
}

func TestScale_Errors(t *testing.T) {
	w := newWorld(t, func(c *wasmhost.Config) { c.MaxComponents = 1 })
	ctx := t.Context()
	good := fileRef(t, program(t, "fine"))
	fails := func(id, ref string, change func(*lattice.ScaleComponent), want string) {
		t.Helper()
		c := lattice.ScaleComponent{ComponentID: id, ComponentRef: ref, Count: 1, HostID: w.host, Annotations: map[string]string{"mine": id}}
		if change != nil {
			change(&c)
		}
		_, err := w.client.ScaleComponent(ctx, c)
		w.must(err)
		e := w.event(lattice.KindComponentScaleFailed, func(e lattice.Event) bool { return e.Data.(lattice.ComponentScaleFailed).ComponentID == id })
		d := e.Data.(lattice.ComponentScaleFailed)
		if !strings.Contains(d.Error, want) || d.ImageRef != ref || d.Annotations["mine"] != id || e.Host != w.host {
			t.Errorf("%s: %+v; want an error with %q", id, d, want)
		}
	}
	fails("absent", "file:///does/not/exist", nil, "no such file")
	fails("bad", fileRef(t, program(t, "bad")), nil, "does not compile")
	fails("nowhere", "127.0.0.1:1/x:1", nil, "failed to fetch component")
	fails("nonsense", "a b", nil, "no reference")
	fails("no-config", good, func(c *lattice.ScaleComponent) { c.Config = []string{"gone"} }, "Config gone does not exist")
	w.serve("app", program(t, "fine"), 1, nil)
	fails("one-too-many", good, nil, "as many components")
	reply, err := w.conn.Request("wasmbus.ctl.v1.default.component.scale."+w.host, []byte(`{"count":1}`), time.Second)
	if err != nil || !strings.Contains(string(reply.Data), lattice.MessageBadComponentScale) {
		t.Errorf("scale without an id: %v, %v", reply, err)
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t, nil)
	first, second := program(t, "one"), program(t, "two")
	url := w.serve("app", first, 2, nil)
	update := func(id, ref string) (string, error) {
		return w.client.UpdateComponent(t.Context(), lattice.UpdateComponent{ComponentID: id, NewComponentRef: ref, HostID: w.host})
	}
	if _, err := update("nobody", "x"); err == nil {
		t.Error("an update of nothing is accepted")
	}
	if notice, err := update("app", fileRef(t, first)); err != nil || !strings.Contains(notice, "already updated") {
		t.Errorf("same image: %q, %v", notice, err)
	}
	if _, err := update("app", "file:///gone"); err != nil {
		t.Error(err)
	}
	w.eventually("the failure is logged", func() bool { return w.log.contains("could not be updated") })
	w.event(lattice.KindComponentScaleFailed, func(e lattice.Event) bool {
		failed := e.Data.(lattice.ComponentScaleFailed)
		return failed.ImageRef == "file:///gone" && failed.MaxInstances == 2 && strings.Contains(failed.Error, "gone")
	})
	if _, body := get(t, url); !strings.HasPrefix(body, "one") {
		t.Errorf("after a failed update: %q", body)
	}
	if _, err := update("app", fileRef(t, second)); err != nil {
		t.Error(err)
	}
	w.eventually("the new code answers", func() bool { _, body := get(t, url); return strings.HasPrefix(body, "two") })
}

// TestBusy: more requests than instances wait, and are refused when the wait is over.
func TestBusy(t *testing.T) {
	w := newWorld(t, func(c *wasmhost.Config) { c.InstanceWait = 100 * time.Millisecond })
	url := w.serve("app", program(t, "wait"), 1, nil)
	ask := func() bool {
		client := &http.Client{Timeout: time.Second} // the component never answers
		response, err := client.Get(url)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "1"
	}
	w.eventually("one of two is refused", func() bool {
		other := make(chan bool)
		go func() { other <- ask() }()
		mine := ask()
		return <-other || mine
	})
}
