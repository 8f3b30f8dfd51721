package exposure

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// rival is another application that listens on the port of hello-world.
func (w *world) rival() (types.NamespacedName, *Application) {
	key := types.NamespacedName{Namespace: "shop", Name: "rival"}
	app := &Application{Namespace: "shop", Name: "rival", UID: "rival-uid", Lattice: "default", Deployed: true,
		Providers: []Provider{{ID: "rival-web", Component: "web", Image: "http-server", ServesHTTP: true}}}
	w.others[key] = app
	w.view.links["rival-web"] = []Link{httpLink("rival-app", "addr")}
	w.view.hosts["rival-web"], w.view.hosts["rival-app"] = []Host{hostOf("hosts-1")}, []Host{hostOf("hosts-1")}
	return key, app
}

// Two applications on one port of one host: who came first is served, and both say so.
func TestPortConflict(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	key, app := w.rival()
	w.reconcileOf(key)
	if c := app.Exposed; c == nil || c.Status != metav1.ConditionFalse || c.Reason != ReasonPortConflict {
		t.Fatalf("condition of the second = %+v", c)
	}
	demand(t, app.Exposed.Message, "default/hello-world", "shop/rival", "port 8080", "the other came first")
	if !w.again[hello] {
		t.Error("the first is not looked at again")
	}
	w.reconcile()
	w.expect(bothPods, "True/PortConflict")
	w.message("default/hello-world", "shop/rival", "this application came first")
	w.atRest()

	w.restart() // what was an endpoint proves who was first, whoever is looked at first
	w.reconcileOf(key)
	w.reconcile()
	if !w.again[key] {
		t.Error("the second is not looked at again")
	}
	w.reconcileOf(key)
	if app.Exposed.Status != metav1.ConditionFalse {
		t.Errorf("after a restart the second is served: %+v", app.Exposed)
	}
	w.expect(bothPods, "True/PortConflict")

	clear(w.again)
	w.app.Deployed = false
	w.reconcile()
	if !w.again[key] {
		t.Error("the second does not hear that the port is free")
	}
	w.reconcileOf(key)
	ready := 0
	for _, s := range w.slices() {
		if s.Namespace == key.Namespace {
			ready += len(s.Endpoints)
		}
	}
	if app.Exposed.Reason != ReasonExposed || ready != 2 {
		t.Errorf("condition of the second = %+v", app.Exposed)
	}
}

// Different hosts, ports and protocols are no conflict, nor is one provider that two applications share.
func TestPortConflict_None(t *testing.T) {
	for name, change := range map[string]func(*world, *Application){
		"another host": func(w *world, _ *Application) { w.view.hosts["hello_world-httpserver"] = []Host{hostOf("hosts-0")} },
		"another port": func(w *world, _ *Application) {
			w.view.configs["addr2"] = map[string]string{"address": "0.0.0.0:8081"}
			w.view.links["rival-web"][0].SourceConfig = []string{"addr2"}
		},
		"same provider": func(_ *world, app *Application) { app.Providers[0].ID = "hello_world-httpserver" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			key, app := w.rival()
			change(w, app)
			w.reconcile()
			w.reconcileOf(key)
			w.reconcile()
			if app.Exposed.Reason != ReasonExposed || w.app.Exposed.Reason != ReasonExposed {
				t.Errorf("conditions = %+v, %+v", app.Exposed, w.app.Exposed)
			}
			w.now = w.now.Add(time.Hour)
			w.atRest()
		})
	}
}
