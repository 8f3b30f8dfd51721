//go:build conformance && linux

package conformance

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// The API is registered with a certificate that is verified, at the Service it was told, and goes with the release.
func TestRegistration(t *testing.T) {
	c := newClient(t, world.plane.Config)
	registry, err := aggregator.NewForConfig(world.plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	api, err := registry.ApiregistrationV1().APIServices().Get(t.Context(), "v1beta1.core.oam.dev", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	role, err := c.kube.RbacV1().ClusterRoles().Get(t.Context(), "trellis", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if api.Spec.InsecureSkipTLSVerify || len(api.Spec.CABundle) == 0 {
		t.Errorf("kube-apiserver verifies nothing: %+v", api.Spec)
	}
	if s := api.Spec.Service; s == nil || s.Name != "trellis" || s.Namespace != "trellis-system" {
		t.Errorf("the Service is %+v", s)
	}
	if len(api.OwnerReferences) != 1 || api.OwnerReferences[0].UID != role.UID {
		t.Errorf("it does not go with the release: %+v", api.OwnerReferences)
	}
}

// Requests make no connections to NATS: those that there are serve all.
func TestConnectionsStay(t *testing.T) {
	c := newClient(t, world.plane.Config)
	const namespace = "connections"
	c.makeNamespace(t, namespace)
	path := "/apis/core.oam.dev/v1beta1/namespaces/" + namespace + "/applications"
	before := natsConnections(t)
	most := before
	for i := range 50 {
		if a, err := c.send(t.Context(), http.MethodPost, path, application(ours, fmt.Sprintf("app-%d", i))); err != nil || a.code != http.StatusCreated {
			t.Fatal(a, err)
		}
		if a, err := c.send(t.Context(), http.MethodGet, path, nil); err != nil || a.code != http.StatusOK {
			t.Fatal(a, err)
		}
		most = max(most, natsConnections(t))
	}
	if before == 0 || most > before {
		t.Errorf("%d connections to NATS before 100 requests, up to %d meanwhile", before, most)
	}
}

// natsConnections counts established connections to the port of NATS, 4222, in this network namespace.
func natsConnections(t *testing.T) int {
	t.Helper()
	content, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	const remote, state, established = 2, 3, "01"
	n := 0
	for _, line := range strings.Split(string(content), "\n") {
		if f := strings.Fields(line); len(f) > state && strings.HasSuffix(f[remote], fmt.Sprintf(":%04X", 4222)) && f[state] == established {
			n++
		}
	}
	return n
}
