//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/test/e2e/strangers"
)

// natsClients say hello to NATS without credentials and with wrong ones.
var natsClients = []string{`{}`, `{"user":"trellis","pass":"trellis"}`, `{"auth_token":"x"}`, `{"jwt":"x.y.z","sig":"x"}`}

// A pod without credentials gets nothing but health and what applications serve, from any port of any pod and any Service.
func TestStrangersGetNothing(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	operator, nats := addressesOf(t, system, "operator", "trellis"), addressesOf(t, system, "nats", "trellis-nats")

	t.Run("API", func(t *testing.T) { refuseAPI(t, a.namespace, operator) })
	t.Run("NATS", func(t *testing.T) { refuseNATS(t, a.namespace, nats) })
	t.Run("no other port", func(t *testing.T) {
		allowed := map[string]map[string][]string{ // by namespace and selector of pods
			system: {
				"app.kubernetes.io/component=operator": {"8443"},
				"app.kubernetes.io/component=nats":     {"4222", "7422"},
			},
			a.namespace: {"app.kubernetes.io/instance=hosts": append(served(t), fmt.Sprint(a.port))},
		}
		for namespace, parts := range allowed {
			for selector, ports := range parts {
				for ip, open := range visit(t, a.namespace, strangers.Visit{Scan: podIPs(t, namespace, selector)}).Open {
					if found := text(open); len(found) == 0 || !subset(found, ports) {
						t.Errorf("%s of %s at %s takes connections on %v; want some of %v only", selector, namespace, ip, found, ports)
					}
				}
			}
		}
	})
	t.Run("no other Service", func(t *testing.T) {
		// A Service leads nowhere but where its ports say, and those are asked above.
		for namespace, ports := range map[string][]string{system: {"443", "4222", "7422"}, a.namespace: {fmt.Sprint(a.port)}} {
			declared := strings.Fields(kubectl(t, "get", "services", "-n", namespace, "-o", "jsonpath={.items[*].spec.ports[*].port}"))
			if len(declared) == 0 || !subset(declared, ports) {
				t.Errorf("Services of %s have ports %v; want some of %v only", namespace, declared, ports)
			}
		}
	})
	t.Run("what it serves", func(t *testing.T) { a.answersPods(t) })
}

// addressesOf are those of the pods of a part of Trellis, and of its Service.
func addressesOf(t *testing.T, namespace, component, service string) []string {
	t.Helper()
	return append(podIPs(t, namespace, "app.kubernetes.io/component="+component), serviceIP(t, namespace, service))
}

func podIPs(t *testing.T, namespace, selector string) []string {
	t.Helper()
	ips := strings.Fields(kubectl(t, "get", "pods", "-n", namespace, "-l", selector, "-o", "jsonpath={.items[*].status.podIP}"))
	if len(ips) == 0 {
		t.Fatalf("no pod %s in %s", selector, namespace)
	}
	return ips
}

func serviceIP(t *testing.T, namespace, name string) string {
	t.Helper()
	return kubectl(t, "get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
}

// apiPaths are what is asked for, and the answers that tell nothing.
var apiPaths = map[string][]int{
	"/livez": {200}, "/readyz": {200}, "/healthz": {200},
	"/": {401, 403}, "/apis": {401, 403}, "/apis/core.oam.dev/v1beta1": {401, 403}, "/openapi/v2": {401, 403}, "/openapi/v3": {401, 403},
	"/apis/core.oam.dev/v1beta1/applications":                 {401, 403},
	"/apis/core.oam.dev/v1beta1/namespaces/x/applications/x":  {401, 403},
	"/apis/core.oam.dev/v1beta1/applicationrevisions?watch=1": {401, 403},
	"/metrics": {401, 403}, "/metrics/slis": {401, 403}, "/version": {401, 403}, "/debug/pprof/": {401, 403}, "/configz": {401, 403},
	"/readyz/ping": {200, 401, 403}, "/nothing": {401, 403},
}

// refuseAPI asks all pods and the Service for everything, by the name and the authority of their certificate.
func refuseAPI(t *testing.T, namespace string, addresses []string) {
	t.Helper()
	what := strangers.Visit{CA: servingCA(t), ServerName: "trellis." + system + ".svc"}
	want := map[string][]int{}
	for number, address := range addresses {
		port := 8443
		if number == len(addresses)-1 {
			port = 443 // the Service
		}
		for path, statuses := range apiPaths {
			url := fmt.Sprintf("https://%s:%d%s", address, port, path)
			want[url] = statuses
			what.Get = append(what.Get, url)
		}
	}
	answers := visit(t, namespace, what).Answers
	for url, statuses := range want {
		answer := answers[url]
		if answer.Error != "" || !slices.Contains(statuses, answer.Status) {
			t.Errorf("GET %s = %d %.80q %s; want %v", url, answer.Status, answer.Body, answer.Error, statuses)
		}
		if strings.Contains(url, "/readyz") && len(answer.Body) > 2 && answer.Status == 200 {
			t.Errorf("GET %s tells strangers %q", url, answer.Body)
		}
	}
}

// servingCA is what kube-apiserver trusts when it speaks to the API.
func servingCA(t *testing.T) string {
	t.Helper()
	text := kubectl(t, "get", "apiservice", "v1beta1.core.oam.dev", "-o", "jsonpath={.spec.caBundle}")
	bundle, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(bundle), "BEGIN CERTIFICATE") {
		t.Fatal("the APIService has no certificate in its caBundle")
	}
	return string(bundle)
}

// refuseNATS speaks to the port of clients and that of leaves.
func refuseNATS(t *testing.T, namespace string, addresses []string) {
	t.Helper()
	what := strangers.Visit{Clients: natsClients}
	for _, address := range addresses {
		what.NATS = append(what.NATS, address+":4222", address+":7422")
	}
	said := visit(t, namespace, what).Said
	if len(said) != len(what.NATS)*len(natsClients) {
		t.Errorf("%d conversations with NATS; want %d", len(said), len(what.NATS)*len(natsClients))
	}
	for _, one := range said {
		if !one.Refused {
			t.Errorf("%s says to CONNECT %s: %s", one.Address, one.Client, one.Words)
		}
	}
}

// served are the ports of all applications of the lattice: every host may serve them.
func served(t *testing.T) (ports []string) {
	t.Helper()
	for _, endpoint := range strings.Fields(kubectl(t, "get", "applications", "-A", "-o", "jsonpath={.items[*].status.endpoint}")) {
		ports = append(ports, strings.Trim(endpoint[strings.LastIndex(endpoint, ":")+1:], "/"))
	}
	return ports
}

func text(ports []int) (texts []string) {
	for _, port := range ports {
		texts = append(texts, fmt.Sprint(port))
	}
	return texts
}

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(port string) bool { return !slices.Contains(all, port) })
}
