//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whoever has no credentials gets nothing but health and what applications serve, from any port of any pod.
func TestStrangersGetNothing(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)

	t.Run("API", func(t *testing.T) {
		for _, address := range append(podAddresses(t, system, "app.kubernetes.io/component=operator", 8443),
			serviceAddress(t, "trellis", 443)) {
			refuseAPI(t, address)
		}
	})
	t.Run("NATS", func(t *testing.T) {
		addresses := append(podAddresses(t, system, "app.kubernetes.io/component=nats", 4222), serviceAddress(t, "trellis-nats", 4222))
		addresses = append(addresses, podAddresses(t, system, "app.kubernetes.io/component=nats", 7422)...)
		for _, address := range append(addresses, serviceAddress(t, "trellis-nats", 7422)) {
			refuseNATS(t, address)
		}
	})
	t.Run("no other port", func(t *testing.T) {
		onlyPorts(t, system, "app.kubernetes.io/component=operator", 8443)
		onlyPorts(t, system, "app.kubernetes.io/component=nats", 4222, 7422)
		onlyPorts(t, a.namespace, "app.kubernetes.io/instance=hosts", append(served(t), a.port)...)
	})
}

func podAddresses(t *testing.T, namespace, selector string, port int) (addresses []string) {
	t.Helper()
	out := kubectl(t, "get", "pods", "-n", namespace, "-l", selector, "-o", "jsonpath={.items[*].status.podIP}")
	for _, ip := range strings.Fields(out) {
		addresses = append(addresses, fmt.Sprintf("%s:%d", ip, port))
	}
	if len(addresses) == 0 {
		t.Fatalf("no pod %s in %s", selector, namespace)
	}
	return addresses
}

func serviceAddress(t *testing.T, name string, port int) string {
	t.Helper()
	return fmt.Sprintf("%s:%d", kubectl(t, "get", "service", name, "-n", system, "-o", "jsonpath={.spec.clusterIP}"), port)
}

func refuseAPI(t *testing.T, address string) {
	t.Helper()
	client := newClient(1)
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: servingCA(t), ServerName: "trellis." + system + ".svc"}
	defer client.CloseIdleConnections()
	for path, want := range map[string][]int{
		"/livez": {200}, "/readyz": {200}, "/healthz": {200},
		"/": {401, 403}, "/apis": {401, 403}, "/apis/core.oam.dev/v1beta1": {401, 403}, "/openapi/v2": {401, 403}, "/openapi/v3": {401, 403},
		"/apis/core.oam.dev/v1beta1/applications":                 {401, 403},
		"/apis/core.oam.dev/v1beta1/namespaces/x/applications/x":  {401, 403},
		"/apis/core.oam.dev/v1beta1/applicationrevisions?watch=1": {401, 403},
		"/metrics": {401, 403}, "/metrics/slis": {401, 403}, "/version": {401, 403}, "/debug/pprof/": {401, 403}, "/configz": {401, 403},
		"/readyz/ping": {200, 401, 403}, "/nothing": {401, 403},
	} {
		status, body, err := get(t.Context(), client, "https://"+address+path)
		if err != nil || !slices.Contains(want, status) {
			t.Errorf("GET https://%s%s = %d %.80q %v; want %v", address, path, status, body, err, want)
		}
		if strings.HasPrefix(path, "/readyz") && len(body) > 2 && status == 200 {
			t.Errorf("GET https://%s%s tells strangers %q", address, path, body)
		}
	}
}

// servingCA is what kube-apiserver trusts when it speaks to the API.
func servingCA(t *testing.T) *x509.CertPool {
	t.Helper()
	text := kubectl(t, "get", "apiservice", "v1beta1.core.oam.dev", "-o", "jsonpath={.spec.caBundle}")
	bundle, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		t.Fatal("the APIService has no certificate in its caBundle")
	}
	return pool
}

// refuseNATS speaks as a client, or a leaf, without credentials and with wrong ones.
func refuseNATS(t *testing.T, address string) {
	t.Helper()
	for _, connect := range []string{`{}`, `{"user":"trellis","pass":"trellis"}`, `{"auth_token":"x"}`, `{"jwt":"x.y.z","sig":"x"}`} {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "CONNECT %s\r\nPING\r\n", connect)
		said, refused := "", false
		for lines := bufio.NewScanner(conn); lines.Scan() && !refused; said += lines.Text() + "\n" {
			refused = strings.HasPrefix(strings.ToLower(lines.Text()), "-err 'authorization violation")
			if strings.HasPrefix(lines.Text(), "PONG") {
				break
			}
		}
		if !refused {
			t.Errorf("%s says to CONNECT %s: %.600s", address, connect, said)
		}
	}
}

// served are the ports of all applications of the lattice: every host may serve them.
func served(t *testing.T) (ports []int) {
	t.Helper()
	for _, endpoint := range strings.Fields(kubectl(t, "get", "applications", "-A", "-o", "jsonpath={.items[*].status.endpoint}")) {
		var port int
		if _, err := fmt.Sscanf(endpoint[strings.LastIndex(endpoint, ":")+1:], "%d", &port); err == nil {
			ports = append(ports, port)
		}
	}
	return ports
}

// onlyPorts tries all ports of the pods; no other than those may take a connection.
func onlyPorts(t *testing.T, namespace, selector string, allowed ...int) {
	t.Helper()
	for _, address := range podAddresses(t, namespace, selector, 0) {
		host, _, _ := strings.Cut(address, ":")
		if open := scan(t.Context(), host); !subset(open, allowed) || len(open) == 0 {
			t.Errorf("pod %s of %s takes connections on %v; want some of %v only", host, selector, open, allowed)
		}
	}
}

func subset(some, all []int) bool {
	return !slices.ContainsFunc(some, func(port int) bool { return !slices.Contains(all, port) })
}

func scan(ctx context.Context, host string) (open []int) {
	var lock sync.Mutex
	var group sync.WaitGroup
	const workers = 64
	for worker := range workers {
		group.Go(func() {
			for port := worker + 1; port < 1<<16; port += workers {
				dialer := net.Dialer{Timeout: 2 * time.Second}
				if conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(port))); err == nil {
					conn.Close()
					lock.Lock()
					open = append(open, port)
					lock.Unlock()
				}
			}
		})
	}
	group.Wait()
	slices.Sort(open)
	return open
}
