package exposure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// users makes the Service of the world one with settings of users.
func (w *world) users() {
	w.t.Helper()
	w.reconcile()
	s := w.service()
	s.Spec.Type = corev1.ServiceTypeNodePort
	s.Spec.Ports[0].NodePort = 30080
	s.Annotations["example.com/mine"] = "yes"
	if err := w.client.Update(context.Background(), s); err != nil {
		w.t.Fatal(err)
	}
	w.reconcile()
}

func (w *world) delete(object client.Object) {
	w.t.Helper()
	if err := w.client.Delete(context.Background(), object); err != nil {
		w.t.Fatal(err)
	}
}

// A Service that somebody deletes comes again, with what users had set on it.
func TestLife_DeletedByHand(t *testing.T) {
	w := newWorld(t)
	w.users()
	want := Kept{Type: corev1.ServiceTypeNodePort, Annotations: map[string]string{"example.com/mine": "yes"}, NodePorts: map[string]int32{"http": 30080}}
	if diff := cmp.Diff(want, w.app.Kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	before := w.service()
	w.delete(before)
	if w.service() == nil {
		t.Error("the finalizer does not hold the Service while nobody looks")
	}
	w.reconcile()
	if w.service() != nil {
		t.Fatal("the Service is still there")
	}
	w.restart()
	w.reconcile()
	s := w.service()
	if s == nil || s.Spec.Type != corev1.ServiceTypeNodePort || s.Spec.Ports[0].NodePort != 30080 || s.Annotations["example.com/mine"] != "yes" {
		t.Fatalf("service = %+v", s)
	}
	w.expect(bothPods, "True/Exposed")
	w.atRest()

	// It is the users' again: what they take back stays away.
	delete(s.Annotations, "example.com/mine")
	if err := w.client.Update(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if s = w.service(); s.Annotations["example.com/mine"] != "" || len(w.app.Kept.Annotations) > 0 {
		t.Errorf("the annotation is back: %v, kept %v", s.Annotations, w.app.Kept)
	}
}

// A controller that writes much into annotations does not fill the application's status.
func TestLife_WhatIsKeptIsBounded(t *testing.T) {
	annotations := map[string]string{"a": "1", "b": strings.Repeat("x", maxKept), "c": "3", ApplicationLabel: "hello-world"}
	kept := keptOf(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}, &Application{})
	if diff := cmp.Diff(map[string]string{"a": "1"}, kept.Annotations); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestLife_ANodePortThatSomebodyElseHas(t *testing.T) {
	w := newWorld(t)
	w.users()
	w.delete(w.service())
	w.reconcile()
	w.refuse = func(s *corev1.Service) error {
		if s.Spec.Ports[0].NodePort == 0 {
			return nil
		}
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, s.Name, nil)
	}
	w.reconcile()
	if s := w.service(); s == nil || s.Spec.Type != corev1.ServiceTypeNodePort || s.Spec.Ports[0].NodePort != 0 {
		t.Errorf("service = %+v", s)
	}
	w.expect(bothPods, "True/Exposed")
}

// A namespace that ends waits for nobody: neither for the Application API, nor for the lattice, nor for a policy.
func TestLife_NamespaceDeletion(t *testing.T) {
	for name, change := range map[string]func(*world){
		"all well":                func(*world) {},
		"applications not known":  func(w *world) { w.blind = errors.New("NATS does not answer") },
		"lattice not seen":        func(w *world) { w.view = nil },
		"policy not readable":     func(w *world) { w.setPolicy(map[string]string{"type": "x"}) },
		"application gone before": func(w *world) { w.app = nil },
		"undeployed before":       func(w *world) { w.app.Deployed = false },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.users()
			change(w)
			w.delete(w.service())
			w.refuse = func(s *corev1.Service) error {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, s.Name, errors.New("namespace default is being terminated"))
			}
			_, err := w.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: hello})
			if (err != nil) != (w.blind != nil) {
				t.Fatal(err)
			}
			if s := w.service(); s != nil {
				t.Fatalf("the Service hangs on %v", s.Finalizers)
			}
			if name == "all well" {
				w.reconcile()
				w.expect("10.0.0.1:8080 10.0.0.2:8080 [fd00::2]:8080", "False/Refused") // slices go with the namespace
			}
		})
	}
}

// An address that can't be read any more adds nothing, and what serves goes on to follow its pods.
func TestLife_AnAddressThatGoesWrong(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.view.configs["addr"]["address"] = "localhost:8080"
	w.delete(w.pod("hosts-0"))
	w.reconcile()
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "False/BadAddress")
	w.atRest()
}

// What went while the operator was down is found by its Service.
func TestLife_GoneWhileNobodyLooked(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.app = nil
	w.restart()
	for _, request := range applicationOf(context.Background(), w.service()) {
		w.reconcileOf(request.NamespacedName)
	}
	if w.service() != nil {
		t.Error("the Service is still there")
	}
}

// In a lattice of thousands, what nothing serves yet must not wait behind looks that find nothing, nor must what certainly
// changed.
func TestTriggers_Order(t *testing.T) {
	w := newWorld(t)
	key, _ := w.rival()
	w.reconcile()
	for _, step := range []struct {
		trigger      Trigger
		served, bare urgency
	}{{Trigger{Lattice: "default"}, perhaps, now}, {Trigger{Application: hello}, now, now}} {
		w.r.follow(context.Background(), step.trigger)
		if w.urgency[hello] != step.served || w.urgency[key] != step.bare {
			t.Errorf("%v: served %d, bare %d; want %d, %d", step.trigger, w.urgency[hello], w.urgency[key], step.served, step.bare)
		}
	}
}

// A change in a lattice is a look at each of its applications, whatever its namespace.
func TestTriggers(t *testing.T) {
	w := newWorld(t)
	key, _ := w.rival()
	w.r.follow(context.Background(), Trigger{Lattice: "default"})
	if !w.again[hello] || !w.again[key] || len(w.again) != 2 {
		t.Errorf("a lattice leads to %v", w.again)
	}
	clear(w.again)
	w.r.follow(context.Background(), Trigger{Application: key})
	if !w.again[key] || len(w.again) != 1 {
		t.Errorf("an application leads to %v", w.again)
	}
}

// Of the thousands of a lattice only those are looked at that asked for what changed, also while it could not be answered.
func TestTriggers_ByName(t *testing.T) {
	w := newWorld(t)
	w.view.hosts = map[string][]Host{} // nothing runs yet
	w.reconcile()
	for name, want := range map[string]bool{"hello_world-httpserver": true, "addr": true, "hello_world-hello": true, "someone_elses": false} {
		clear(w.again)
		w.r.follow(context.Background(), Trigger{Lattice: "default", Name: name})
		if w.again[hello] != want {
			t.Errorf("%s leads to a look: %v; want %v", name, w.again[hello], want)
		}
		clear(w.again)
		w.r.follow(context.Background(), Trigger{Lattice: "other", Name: name})
		if w.again[hello] {
			t.Errorf("%s of another lattice leads to a look", name)
		}
	}
	for what, change := range map[string]func(){
		"another configuration is used": func() {
			w.view.links["hello_world-httpserver"] = []Link{httpLink("hello_world-hello", "new")}
			w.view.configs["new"] = map[string]string{"address": "0.0.0.0:8080"}
		},
		"it is gone": func() { w.app = nil },
	} {
		change()
		w.reconcile()
		clear(w.again)
		w.r.follow(context.Background(), Trigger{Lattice: "default", Name: "addr"})
		if w.again[hello] {
			t.Errorf("%s: what it asked for before still leads to a look", what)
		}
	}
}

// Before the chart goes every Service is let go, and stays.
func TestLife_ReleaseAll(t *testing.T) {
	foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "foreign", Finalizers: []string{v1alpha1.ServiceFieldManager}}}
	old := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "old", Finalizers: []string{"example.com/other", v1alpha1.ServiceFieldManager},
		Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByOld}}}
	w := newWorld(t, foreign, old)
	w.reconcile()
	for _, want := range []int{2, 0} {
		if n, err := ReleaseAll(context.Background(), w.client); n != want || err != nil {
			t.Errorf("released %d, %v, want %d", n, err, want)
		}
	}
	var list corev1.ServiceList
	if err := w.client.List(context.Background(), &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range list.Items {
		got[s.Name] = fmt.Sprint(s.Finalizers)
	}
	want := map[string]string{"hello-world": "[]", "old": "[example.com/other]", "foreign": "[" + v1alpha1.ServiceFieldManager + "]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}

// The port of a name that changes, and the name of a port, take the user's node port along and leave nothing behind.
func TestLife_PortsAreRenumberedAndRenamed(t *testing.T) {
	w := newWorld(t)
	w.users()
	w.view.configs["addr"]["address"] = "0.0.0.0:9090"
	w.reconcile()
	if s := w.service(); w.ports() != "http:9090>9090/TCP" || s.Spec.Ports[0].NodePort != 30080 {
		t.Errorf("renumbered: %s, node port %d", w.ports(), s.Spec.Ports[0].NodePort)
	}
	w.setPolicy(map[string]string{"component": "httpserver", "ports": "[{name: web, port: 9090}]"})
	w.reconcile()
	if w.ports() != "web:9090>9090/TCP" {
		t.Errorf("renamed: %s", w.ports())
	}
	names := ""
	for _, s := range w.slices() {
		names += s.Name + " "
	}
	if names != "hello-world-web-ipv4-0 hello-world-web-ipv6-0 " {
		t.Errorf("slices %s", names)
	}
	w.reconcile() // the Service's own event
	w.atRest()
}

// An application that is named as a Service of the cluster gets none.
func TestLife_ServicesOfTheCluster(t *testing.T) {
	name := types.NamespacedName{Namespace: "default", Name: "kubernetes"}
	cluster := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1", Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}}
	w := newWorld(t, cluster)
	thief := *w.app
	thief.Name, thief.UID = "kubernetes", "thief"
	w.others[name] = &thief
	w.reconcileOf(name)
	if c := thief.Exposed; c == nil || c.Reason != ReasonForeignService {
		t.Errorf("condition = %+v", c)
	}
	thief.Deployed = false
	w.reconcileOf(name)
	delete(w.others, name)
	w.reconcileOf(name)
	var s corev1.Service
	if err := w.client.Get(context.Background(), name, &s); err != nil || len(s.Labels) != 2 || s.Spec.Ports[0].Port != 443 || len(s.Finalizers) > 0 {
		t.Errorf("service = %+v, %v", s, err)
	}
	if len(w.slices()) > 0 {
		t.Errorf("slices = %v", w.slices())
	}
}
