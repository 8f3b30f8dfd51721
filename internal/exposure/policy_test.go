package exposure

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/internal/lattice"
)

func TestPolicy_AnyProvider(t *testing.T) {
	w := newWorld(t)
	w.bridge()
	w.setPolicy(map[string]string{"component": "bridge", "ports": "[{name: mqtt, port: 1883, appProtocol: mqtt}, {port: 53, targetPort: 5353, protocol: UDP}]"})
	w.deaf["10.0.0.1:5353"] = true // nobody asks over UDP
	w.reconcile()
	if got, want := w.ports(), "http:8080>8080/TCP mqtt:1883>1883/TCP=mqtt udp-53:53>5353/UDP"; got != want {
		t.Errorf("ports = %q, want %q", got, want)
	}
	w.expect("10.0.0.1:8080 10.0.0.2:8080 [fd00::2]:8080 10.0.0.1:1883 10.0.0.2:1883 [fd00::2]:1883 10.0.0.1:5353 10.0.0.2:5353 [fd00::2]:5353", "True/Exposed")
	for _, s := range w.slices() {
		if *s.Ports[0].Port == 5353 && *s.Ports[0].Protocol != corev1.ProtocolUDP {
			t.Errorf("slice %s has protocol %s", s.Name, *s.Ports[0].Protocol)
		}
	}
	w.atRest()

	// Without HTTP the bridge alone is a reason for a Service; it is followed by the hosts that run it.
	w.app.Providers = w.app.Providers[1:]
	w.setPolicy(map[string]string{"ports": "[{name: mqtt, port: 1883}]"})
	w.view.hosts["hello_world-bridge"] = []Host{hostOf("hosts-0")}
	w.reconcile()
	w.expect("10.0.0.1:1883", "True/Exposed")
	if w.app.Endpoint != "hello-world.default.svc:1883" {
		t.Errorf("endpoint = %q", w.app.Endpoint)
	}
	w.view.hosts["hello_world-bridge"] = nil
	w.reconcile()
	w.expect("", "False/NoEndpoints")
}

func TestPolicy_PortsOfAnHTTPServer(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(map[string]string{"component": "httpserver", "ports": "[{name: web, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443}]"})
	w.reconcile()
	if got, want := w.ports(), "web:80>8080/TCP tls:443>8443/TCP"; got != want {
		t.Errorf("ports = %q, want %q", got, want)
	}
	w.expect(bothPods, "True/Exposed") // no link opens 8443
	local := hostOf("hosts-0")
	local.Labels[lattice.LabelHTTPServer] = lattice.HTTPServerLocal
	w.view.hosts["hello_world-httpserver"] = []Host{local}
	w.view.hosts["hello_world-hello"] = []Host{hostOf("hosts-1")}
	w.reconcile()
	w.expect("", "False/NoEndpoints") // the link's rules hold for ports of a policy too

	w.setPolicy(map[string]string{"component": "httpserver", "ports": "[]"})
	w.reconcile()
	if got := w.ports(); got != "no Service" || w.app.Exposed != nil {
		t.Errorf("a hidden provider has %s, condition %v", got, w.app.Exposed)
	}
}

func TestPolicy_Service(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(map[string]string{"type": "LoadBalancer", "annotations": "example.com/a: b", "labels": "team: shop", "sessionAffinity": "ClientIP",
		"sessionAffinityTimeoutSeconds": "60", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local", "loadBalancerClass": "example.com/inner"})
	w.reconcile()
	s := w.service()
	got := []any{s.Spec.Type, s.Annotations["example.com/a"], s.Labels["team"], s.Spec.SessionAffinity, *s.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds,
		s.Spec.ExternalTrafficPolicy, *s.Spec.InternalTrafficPolicy, *s.Spec.LoadBalancerClass}
	want := []any{corev1.ServiceTypeLoadBalancer, "b", "shop", corev1.ServiceAffinityClientIP, int32(60),
		corev1.ServiceExternalTrafficPolicyLocal, corev1.ServiceInternalTrafficPolicyLocal, "example.com/inner"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
	if !w.app.Kept.empty() {
		t.Errorf("what a policy sets is kept as a user's: %+v", w.app.Kept)
	}
	w.atRest()
}

// Kubernetes turns no Service with an address into one without.
func TestPolicy_HeadlessMakesTheServiceAnew(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	s := w.service()
	s.Spec.ClusterIP = "10.96.0.7"
	s.Annotations["example.com/mine"] = "yes"
	if err := w.client.Update(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	w.setPolicy(map[string]string{"headless": "true"})
	w.reconcile() // away
	w.reconcile() // and anew
	s = w.service()
	if s == nil || s.Spec.ClusterIP != corev1.ClusterIPNone || s.Annotations["example.com/mine"] != "yes" {
		t.Errorf("service = %+v", s)
	}
	w.atRest()
}

func TestPolicy_WhatCantBeReadChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.setPolicy(map[string]string{"component": "httpserver", "ports": "[{port: many}]"})
	w.reconcile()
	w.expect(bothPods, "False/InvalidPolicy")
	w.message("application hello-world", `policy "p"`, "property ports", "field port", "correct it")
	if w.app.Endpoint == "" {
		t.Error("the endpoint is gone, and still serves")
	}
	if err := w.client.Delete(context.Background(), w.pod("hosts-0")); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "False/InvalidPolicy")
	w.atRest()
	w.setPolicy(map[string]string{"component": "httpserver", "ports": "[{port: 80, targetPort: 8080}]"})
	w.reconcile()
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
}

// A route without any port says so.
func TestPolicy_RoutesToNowhere(t *testing.T) {
	w := newWorld(t)
	w.app.Providers = nil
	w.setPolicy(map[string]string{"routes": "[{kind: HTTPRoute, parentRefs: [{name: gw}]}]"})
	w.reconcile()
	w.expect("", "False/Pending")
	w.message("no policy lists the ports")
}

// A port that the lattice shows may be one that a policy gives to somebody else.
func TestPolicy_TwoProvidersOnOnePort(t *testing.T) {
	w := newWorld(t)
	w.bridge()
	w.setPolicy(map[string]string{"component": "bridge", "ports": "[{port: 8080, targetPort: 9}]"})
	w.reconcile()
	w.expect("", "False/InvalidPolicy")
	w.message("TCP port 8080", "a port of its own")
}

func TestPolicy_HostsOutsideOfTheCluster(t *testing.T) {
	w := newWorld(t)
	outside := func(id, address string) Host { return Host{ID: id, Labels: map[string]string{"address": address}} }
	w.view.hosts["hello_world-httpserver"] = []Host{outside("Na", "192.0.2.7"), outside("Nb", "2001:db8::7"), outside("Nc", "127.0.0.1"), outside("Nd", "169.254.169.254"), outside("Ne", "")}
	w.view.hosts["hello_world-hello"] = w.view.hosts["hello_world-httpserver"]
	w.reconcile()
	w.expect("", "False/NoEndpoints")
	w.setPolicy(map[string]string{"hostAddressLabel": "address"})
	w.deaf["192.0.2.7:8080"] = true
	w.reconcile()
	w.expect("[2001:db8::7]:8080", "True/Exposed")
	delete(w.deaf, "192.0.2.7:8080")
	w.reconcile()
	w.expect("192.0.2.7:8080 [2001:db8::7]:8080", "True/Exposed")
	w.atRest()
	w.view = nil // out of sight, they stay
	w.restart()
	w.reconcile()
	w.expect("192.0.2.7:8080 [2001:db8::7]:8080", "True/Exposed")
}
