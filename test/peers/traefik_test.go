//go:build peers && linux

package peers

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestTraefik runs the real Traefik as the Gateway in front of applications: hosts, paths, weights, TLS, and what the
// applications say of their routes. It needs pods, for Traefik sends requests to those.
func TestTraefik(t *testing.T) {
	folder := required(t, "TRELLIS_PEER_TRAEFIK")
	l := newLab(t)
	if l.plane != nil {
		t.Fatal("Traefik sends requests to pods, and there are none: name a cluster with KUBECONFIG; `make test-peers PEER=traefik` makes one")
	}
	g := &gateway{lab: l, namespace: l.namespace(t, "gateway"), web: freePort(t), secure: freePort(t), ports: 20000 + rand.IntN(10000)}
	one, two := g.greeter("one"), g.greeter("two")
	one.routes = g.routeTo("one.example.test", "")
	two.routes = g.routeTo("two.example.test", "")

	// The applications are there before the cluster knows what a Gateway is, unless it knew it from an earlier run.
	l.create(t, object(t, one.yaml()))
	l.create(t, object(t, two.yaml()))
	if kinds := definitions(t, filepath.Join(folder, "crds")); l.knows(t, kinds[0]) {
		t.Log("NOT TESTED: that the Gateway API is noticed when it comes; the cluster has it already")
	} else {
		routedBecause(t, l, one, "False", "GatewayAPIMissing")
		l.define(t, kinds...)
	}
	start(t, "traefik", filepath.Join(folder, "traefik"), []string{"KUBECONFIG=" + l.kubeconfig},
		fmt.Sprintf("--entrypoints.web.address=127.0.0.1:%d", g.web), fmt.Sprintf("--entrypoints.websecure.address=127.0.0.1:%d", g.secure),
		"--providers.kubernetesgateway", "--providers.kubernetesgateway.experimentalchannel", "--log.level=INFO",
		"--global.checknewversion=false", "--global.sendanonymoususage=false")
	g.open(t)

	t.Run("by host name", func(t *testing.T) {
		for _, app := range []greeter{one, two} {
			routedBecause(t, l, app, "True", "")
			g.answers(t, g.url("/"), app.says+".example.test", "I am "+app.says)
		}
		if status, body, err := g.get(t.Context(), g.url("/"), "three.example.test"); err != nil || status != http.StatusNotFound {
			t.Errorf("a name that nobody has: %d %q %v; want 404", status, body, err)
		}
	})
	t.Run("by path", func(t *testing.T) {
		one.routes = g.routeTo("shop.example.test", fmt.Sprintf(`, rules: [
		  {matches: [{path: {type: PathPrefix, value: /one}}]},
		  {matches: [{path: {type: PathPrefix, value: /two}}], backendRefs: [{application: %s}]}]`, two.name))
		one.change(t, l)
		g.answers(t, g.url("/one"), "shop.example.test", "I am one")
		g.answers(t, g.url("/two/and/more"), "shop.example.test", "I am two")
	})
	t.Run("by weight", func(t *testing.T) {
		one.routes = g.routeTo("shop.example.test", fmt.Sprintf(`, rules: [{backendRefs: [{weight: 90}, {application: %s, weight: 10}]}]`, two.name))
		one.change(t, l)
		g.answers(t, g.url("/"), "shop.example.test", "I am one", "I am two")
		g.share(t, "shop.example.test", 1000, "I am two", 0.07, 0.13)
	})
	t.Run("TLS from a Secret", func(t *testing.T) {
		g.answers(t, fmt.Sprintf("https://127.0.0.1:%d/", g.secure), "two.example.test", "I am two")
	})
	t.Run("gRPC", func(t *testing.T) { g.callsGRPC(t) })
	t.Run("a Gateway that is not there", func(t *testing.T) {
		missing := strings.Replace(g.routeTo("shop.example.test", ""), "name: public", "name: private", 1)
		one.routes = missing
		one.change(t, l)
		routedBecause(t, l, one, "False", "")
		one.routes = g.routeTo("one.example.test", "")
		one.change(t, l)
		routedBecause(t, l, one, "True", "")
		g.answers(t, g.url("/"), "one.example.test", "I am one")
	})
	t.Run("no route any more", func(t *testing.T) {
		two.routes = ""
		two.change(t, l)
		eventually(t, "the route is gone", func(ctx context.Context) string {
			if status, _, err := g.get(ctx, g.url("/"), "two.example.test"); err != nil || status != http.StatusNotFound {
				return fmt.Sprint(status, err)
			}
			return ""
		})
	})
}

// knows says whether a definition is there.
func (l *lab) knows(t *testing.T, definition *unstructured.Unstructured) bool {
	t.Helper()
	err := l.client.Get(t.Context(), client.ObjectKeyFromObject(definition), definition.DeepCopy())
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err == nil
}

// greeter is an application that says who it is. Its name is free in the lattice, where names of earlier tests may be kept.
type greeter struct {
	namespace, name string
	says            string
	port            int
	// image of the component; empty: one that says its name.
	image string
	// ports and routes are properties of the policy; without routes there is none.
	ports, routes string
}

func (g *gateway) greeter(says string) greeter {
	g.ports++
	return greeter{namespace: g.namespace, name: g.namespace + "-" + says, says: says, port: g.ports}
}

func (a greeter) yaml() string {
	policies := ""
	if a.routes != "" {
		policies = fmt.Sprintf(`
  policies:
    - name: reach
      type: policy.expose.wasmcloud.dev/v1alpha1
      properties:
        routes: |
          %s`, strings.ReplaceAll(a.routes, "\n", "\n          "))
	}
	if a.ports != "" {
		policies += fmt.Sprintf("\n        component: httpserver\n        ports: %q", a.ports)
	}
	return fmt.Sprintf(`apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  namespace: %s
  name: %s
spec:%s
  components:
    - name: greeter
      type: component
      properties:
        image: %[5]s
        config: [{name: words, properties: {greeting: I am %[6]s}}]
      traits:
        - {type: daemonscaler, properties: {instances: 100}}
    - name: httpserver
      type: capability
      properties:
        image: ghcr.io/wasmcloud/http-server:0.27.0
      traits:
        - {type: daemonscaler, properties: {instances: 1}}
        - type: link
          properties:
            target: greeter
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source: {config: [{name: address, properties: {address: "0.0.0.0:%[4]d"}}]}
`, a.namespace, a.name, policies, a.port, cmp.Or(a.image, "ghcr.io/trellis-operator/hello:0.1.0"), a.says)
}

// change applies the application as it is now, and waits until Trellis has seen it.
func (a greeter) change(t *testing.T, l *lab) {
	t.Helper()
	wanted := object(t, a.yaml())
	eventually(t, "the change of "+a.name, func(ctx context.Context) string {
		live, err := l.application(ctx, a.namespace, a.name)
		if err != nil {
			return err.Error()
		}
		live.Object["spec"] = wanted.Object["spec"]
		if err := l.client.Update(ctx, live); err != nil {
			return err.Error()
		}
		return ""
	})
	l.ready(t, a.namespace, a.name)
}

// routedBecause waits for the condition Routed, of a reason if one is given.
func routedBecause(t *testing.T, l *lab, a greeter, status, reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("Routed of %s is %s %s", a.name, status, reason), func(ctx context.Context) string {
		app, err := l.application(ctx, a.namespace, a.name)
		if err != nil {
			return err.Error()
		}
		if condition(app, "Routed") != status || reason != "" && !strings.Contains(fmt.Sprint(app.Object["status"]), reason) {
			return fmt.Sprint(app.Object["status"])
		}
		return ""
	})
}

// gateway is a Gateway of Traefik, which listens on this machine.
type gateway struct {
	*lab
	namespace   string
	web, secure int
	// ports are those of applications, of which the last was used: hosts serve all applications of their lattice.
	ports int
	roots *x509.CertPool
}

// routeTo is a route for a host name, by way of the Gateway; more is what follows the host names.
func (g *gateway) routeTo(host, more string) string {
	return fmt.Sprintf("[{kind: HTTPRoute, parentRefs: [{name: public}], hostnames: [%s]%s}]", host, more)
}

// open makes the class, the Gateway and its certificate.
func (g *gateway) open(t *testing.T) {
	t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey("example.test", nil, []string{"*.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	g.roots = x509.NewCertPool()
	g.roots.AppendCertsFromPEM(certificate)
	class := object(t, fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: %s}, spec: {controllerName: traefik.io/gateway-controller}}", g.namespace))
	g.create(t, class)
	t.Cleanup(func() { g.remove(t, class) })
	secret := object(t, fmt.Sprintf("{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {namespace: %s, name: tls}}", g.namespace))
	secret.Object["stringData"] = map[string]any{"tls.crt": string(certificate), "tls.key": string(key)}
	g.create(t, secret)
	g.create(t, object(t, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: %[1]s, name: public}
spec:
  gatewayClassName: %[1]s
  listeners:
    - {name: web, protocol: HTTP, port: %[2]d}
    - {name: websecure, protocol: HTTPS, port: %[3]d, tls: {mode: Terminate, certificateRefs: [{name: tls}]}}
`, g.namespace, g.web, g.secure)))
}

func (g *gateway) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", g.web, path) }

func (g *gateway) get(ctx context.Context, url, host string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots, ServerName: host}}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return response.StatusCode, strings.TrimSpace(string(body)), err
}

// answers waits until a request is answered by one of those that may.
func (g *gateway) answers(t *testing.T, url, host string, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s of %s is answered %q", url, host, want), func(ctx context.Context) string {
		status, body, err := g.get(ctx, url, host)
		for _, w := range want {
			if err == nil && status == http.StatusOK && body == w {
				return ""
			}
		}
		return fmt.Sprint(status, " ", body, " ", err)
	})
}

// share counts how many of some requests are answered so, which must be between two parts of all.
func (g *gateway) share(t *testing.T, host string, requests int, want string, least, most float64) {
	t.Helper()
	counts := map[string]int{}
	for range requests {
		status, body, err := g.get(t.Context(), g.url("/"), host)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %q %v", status, body, err)
		}
		counts[body]++
	}
	t.Logf("%d requests: %v", requests, counts)
	if part := float64(counts[want]) / float64(requests); part < least || part > most {
		t.Errorf("%q has %.3f of the answers; want %.2f to %.2f", want, part, least, most)
	}
}

// callsGRPC routes calls of one service to an application that speaks gRPC, and makes some, with TLS to the Gateway.
func (g *gateway) callsGRPC(t *testing.T) {
	t.Helper()
	const image = "ghcr.io/trellis-operator/grpc:peers"
	g.push(t, image, filepath.Join(root(t), "test/fixtures/components/grpc.wasm"))
	echo := g.greeter("echo")
	echo.image, echo.ports = image, fmt.Sprintf("[{name: grpc, port: 80, targetPort: %d, appProtocol: kubernetes.io/h2c}]", echo.port)
	echo.routes = "[{kind: GRPCRoute, parentRefs: [{name: public, sectionName: websecure}], hostnames: [echo.example.test], rules: [{matches: [{method: {service: test.Echo}}]}]}]"
	g.create(t, object(t, echo.yaml()))
	routedBecause(t, g.lab, echo, "True", "")
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", g.secure),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: g.roots, ServerName: "echo.example.test"})), grpc.WithAuthority("echo.example.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	words := strings.Repeat("hello ", 50_000)
	eventually(t, "a call comes back", func(ctx context.Context) string {
		var answer wrapperspb.StringValue
		if err := conn.Invoke(ctx, "/test.Echo/Say", wrapperspb.String(words), &answer); err != nil || answer.Value != words {
			return fmt.Sprint(len(answer.Value), " ", err)
		}
		return ""
	})
	err = conn.Invoke(t.Context(), "/test.Other/Say", wrapperspb.String(words), new(wrapperspb.StringValue))
	if code := status.Code(err); code != codes.Unimplemented {
		t.Errorf("a service that has no route: %v; want Unimplemented, as 404 is to gRPC", err)
	}
}

// freePort is one of the loopback that nobody has at this moment.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
