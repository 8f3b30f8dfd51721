//go:build conformance && linux

package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/internal/certificates"
	"github.com/trellis-operator/trellis/test/controlplane"
)

const applicationsPath = "/apis/core.oam.dev/v1beta1/applications"

// health is what everybody may read.
var health = []string{"/healthz", "/livez", "/readyz"}

// discovery is what every account of a cluster may read by the role system:discovery; strangers may not.
var discovery = []string{
	"/api", "/apis", "/apis/core.oam.dev", "/apis/core.oam.dev/v1beta1", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/core.oam.dev/v1beta1", "/version",
}

// closed is everything else that an API server has, or could have.
var closed = []string{
	"/", "/metrics", "/metrics/slis", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/flags/v", "/logs", "/logs/",
	"/configz", "/statusz", "/flagz", "/healthz/ping", "/livez/ping", "/readyz/store-changed", "/api/v1/secrets", "/.well-known/openid-configuration",
	applicationsPath, "/apis/core.oam.dev/v1beta1/applicationrevisions", "/apis/core.oam.dev/v1beta1/namespaces/default/applications",
	"/apis/core.oam.dev/v1beta1/namespaces/default/applications/x", "/apis/core.oam.dev/v1beta1/namespaces/default/applications/x/status",
	"/apis/core.oam.dev/v1beta1/watch/applications", applicationsPath + "?watch=true&timeoutSeconds=1", "/healthz/../apis/core.oam.dev/v1beta1/applications",
	"//apis/core.oam.dev/v1beta1/applications", "/apis/apiregistration.k8s.io/v1", "/nothing",
}

// intruder is somebody who asks.
type intruder struct {
	config *rest.Config
	// headers are sent along.
	headers []string
	// known says that the cluster knows the account: it has no rights but discovery.
	known bool
	// broken says that the credentials are none, which health may refuse, too.
	broken bool
}

var forgedHeaders = []string{"X-Remote-User: system:admin", "X-Remote-Group: system:masters"}

// door is where one knocks.
type door struct{ host string }

func (d door) config(change ...func(*rest.Config)) *rest.Config {
	c := &rest.Config{Host: d.host, QPS: -1, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	for _, f := range change {
		f(c)
	}
	return c
}

func withCertificate(t *testing.T, authority *certificates.Authority, name string, made time.Time, groups ...string) func(*rest.Config) {
	t.Helper()
	pair, err := authority.Client(name, groups, made, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *rest.Config) { c.CertData, c.KeyData = pair.Cert, pair.Key }
}

func withToken(token string) func(*rest.Config) {
	return func(c *rest.Config) { c.BearerToken = token }
}

const frontProxy = "front-proxy-client"

// intruders are all who must not get in.
func intruders(t *testing.T, d door, tokens map[string]string) map[string]intruder {
	t.Helper()
	now, long := time.Now(), time.Now().Add(-3*time.Hour)
	stranger, err := certificates.NewAuthority("stranger", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	clients, proxies := world.plane.Clients, world.plane.FrontProxy
	return map[string]intruder{
		"nobody":                          {config: d.config()},
		"forged headers":                  {config: d.config(), headers: forgedHeaders},
		"impersonation":                   {config: d.config(), headers: []string{"Impersonate-User: system:admin", "Impersonate-Group: system:masters"}},
		"a certificate of another CA":     {config: d.config(withCertificate(t, stranger, "system:admin", now, "system:masters")), broken: true},
		"an expired certificate":          {config: d.config(withCertificate(t, clients, "system:admin", long, "system:masters")), broken: true},
		"a certificate of tomorrow":       {config: d.config(withCertificate(t, clients, "system:admin", now.Add(24*time.Hour), "system:masters")), broken: true},
		"another CA's proxy":              {config: d.config(withCertificate(t, stranger, frontProxy, now)), headers: forgedHeaders, broken: true},
		"the proxy's CA, another name":    {config: d.config(withCertificate(t, proxies, "mallory", now)), headers: forgedHeaders, broken: true},
		"the proxy's CA, masters":         {config: d.config(withCertificate(t, proxies, "mallory", now, "system:masters")), broken: true},
		"the proxy, expired":              {config: d.config(withCertificate(t, proxies, frontProxy, long)), headers: forgedHeaders, broken: true},
		"a guessed token":                 {config: d.config(withToken("guess")), broken: true},
		"a token for another audience":    {config: d.config(withToken(tokens["audience"])), broken: true},
		"the token of a deleted account":  {config: d.config(withToken(tokens["deleted"])), broken: true},
		"a token without rights":          {config: d.config(withToken(tokens["powerless"])), known: true},
		"a token and forged headers":      {config: d.config(withToken(tokens["powerless"])), headers: forgedHeaders, known: true},
		"a token that impersonates":       {config: d.config(withToken(tokens["powerless"])), headers: []string{"Impersonate-User: system:admin"}},
		"a user without rights":           {config: d.config(withCertificate(t, clients, "mallory", now)), known: true},
		"a user called as the proxy":      {config: d.config(withCertificate(t, clients, frontProxy, now)), headers: forgedHeaders, known: true},
		"a user called as trellis's wash": {config: d.config(withCertificate(t, clients, "system:trellis:wash:"+controlplane.Lattice+"x", now)), known: true},
	}
}

// tokens makes accounts and their tokens.
func tokens(t *testing.T, c *client, namespace string) map[string]string {
	t.Helper()
	c.makeNamespace(t, namespace)
	accounts := c.kube.CoreV1().ServiceAccounts(namespace)
	out := map[string]string{}
	for _, name := range []string{"powerless", "audience", "deleted", "reader"} {
		if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		request := &authenticationv1.TokenRequest{}
		if name == "audience" {
			request.Spec.Audiences = []string{"https://vault.example.com"}
		}
		made, err := accounts.CreateToken(t.Context(), name, request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out[name] = made.Status.Token
	}
	if err := accounts.Delete(t.Context(), "deleted", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	return out
}

func refused(code int) bool { return code == http.StatusUnauthorized || code == http.StatusForbidden }

// Whoever reaches the port of Trellis, and every pod does, gets nothing but what kube-apiserver would give.
func TestPort(t *testing.T) {
	admin := newClient(t, world.plane.Config)
	d := door{"https://" + controlplane.API}
	secret := tokens(t, admin, "security-port")
	for name, who := range intruders(t, d, secret) {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, who.config)
			get := func(path string) *answer { return who.ask(t, c, http.MethodGet, path, nil) }
			for _, path := range health {
				if a := get(path); a.code != http.StatusOK && (!who.broken || a.code != http.StatusUnauthorized) && !refused(a.code) {
					t.Errorf("%s: %s", path, a)
				} else if a.code != http.StatusOK && !who.broken && name != "impersonation" && name != "a token that impersonates" {
					t.Errorf("%s is not open: %s", path, a)
				}
			}
			for _, path := range discovery {
				if a := get(path); refused(a.code) == who.known {
					t.Errorf("%s: %s", path, shorten(a.String()))
				}
			}
			for _, path := range closed {
				a := get(path)
				if who.known && a.code == http.StatusNotFound {
					continue // the role lets them ask, and there is nothing
				}
				if !refused(a.code) && a.code/100 != 3 {
					t.Errorf("%s: %s", path, shorten(a.String()))
				}
				if strings.Contains(string(a.body), "ghcr.io") || a.code/100 == 3 && !strings.HasPrefix(a.header.Get("Location"), "/") {
					t.Errorf("%s tells too much: %s", path, shorten(a.String()))
				}
			}
			who.writes(t, c)
		})
	}
}

// ask follows no redirects: where they lead is asked, too.
func (i intruder) ask(t *testing.T, c *client, method, path string, body any, headers ...string) *answer {
	t.Helper()
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := c.send(t.Context(), method, path, body, append(slices.Clone(i.headers), headers...)...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// writes tries to change something.
func (i intruder) writes(t *testing.T, c *client) {
	t.Helper()
	base := "/apis/core.oam.dev/v1beta1/namespaces/default/applications"
	app := application(ours, "intruder")
	for _, call := range [][2]string{
		{http.MethodPost, base}, {http.MethodPut, base + "/intruder"}, {http.MethodDelete, base + "/intruder"}, {http.MethodDelete, base},
		{http.MethodPut, base + "/intruder/status"}, {http.MethodPost, base + "?dryRun=All"}, {http.MethodPost, "/apis"}, {http.MethodPut, "/debug/flags/v"},
	} {
		if a := i.ask(t, c, call[0], call[1], app); !refused(a.code) && a.code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %s", call[0], call[1], shorten(a.String()))
		}
	}
	for _, kind := range []string{mergePatch, jsonPatch, applyPatch} {
		if a := i.ask(t, c, http.MethodPatch, base+"/intruder?fieldManager=x", "{}", kind); !refused(a.code) {
			t.Errorf("%s: %s", kind, shorten(a.String()))
		}
	}
}

// Through kube-apiserver the same people get no further: headers of theirs are not passed on as the proxy's.
func TestFrontDoor(t *testing.T) {
	admin := newClient(t, world.plane.Config)
	d := door{world.plane.Config.Host}
	secret := tokens(t, admin, "security-door")
	for name, who := range intruders(t, d, secret) {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, who.config)
			for _, path := range slices.Concat(closed, discovery) {
				if !strings.HasPrefix(path, "/apis/core.oam.dev") || who.known && slices.Contains(discovery, path) {
					continue // kube-apiserver's own
				}
				if a := who.ask(t, c, http.MethodGet, path, nil); !refused(a.code) {
					t.Errorf("%s: %s", path, shorten(a.String()))
				}
			}
			who.writes(t, c)
		})
	}
}

// Those who may get in: otherwise the tests above would pass against a wall.
func TestRightsAreGranted(t *testing.T) {
	admin := newClient(t, world.plane.Config)
	secret := tokens(t, admin, "security-rights")
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "trellis-view"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "reader", Namespace: "security-rights"}}}
	if _, err := admin.kube.RbacV1().RoleBindings("security-rights").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	mine, others := "/apis/core.oam.dev/v1beta1/namespaces/security-rights/applications", "/apis/core.oam.dev/v1beta1/namespaces/default/applications"
	for name, host := range map[string]string{"port": "https://" + controlplane.API, "front door": world.plane.Config.Host} {
		t.Run(name, func(t *testing.T) {
			d := door{host}
			reader := newClient(t, d.config(withToken(secret["reader"])))
			who := intruder{}
			eventually(t, "the reader reads its namespace", func() string {
				if a := who.ask(t, reader, http.MethodGet, mine, nil); a.code != http.StatusOK {
					return a.String()
				}
				return ""
			})
			if a := who.ask(t, reader, http.MethodGet, others, nil); a.code != http.StatusForbidden || !strings.Contains(a.String(), `cannot list resource "applications"`) {
				t.Errorf("another namespace: %s", a)
			}
			if a := who.ask(t, reader, http.MethodPost, mine, application(ours, "x")); a.code != http.StatusForbidden || !strings.Contains(a.String(), `cannot create resource "applications"`) {
				t.Errorf("create: %s", a)
			}
			root := newClient(t, d.config(withCertificate(t, world.plane.Clients, "root", time.Now(), "system:masters")))
			for _, path := range []string{"/", "/metrics", "/version", applicationsPath, "/openapi/v3", "/livez/ping"} {
				if a := who.ask(t, root, http.MethodGet, path, nil); a.code != http.StatusOK {
					t.Errorf("%s as a master: %s", path, shorten(a.String()))
				}
			}
		})
	}
	// The proxy itself says who asks.
	proxy := newClient(t, door{"https://" + controlplane.API}.config(withCertificate(t, world.plane.FrontProxy, frontProxy, time.Now())))
	for user, want := range map[string]int{"system:serviceaccount:security-rights:reader": http.StatusOK, "mallory": http.StatusForbidden} {
		who := intruder{headers: []string{"X-Remote-User: " + user, "X-Remote-Group: system:authenticated"}}
		if a := who.ask(t, proxy, http.MethodGet, mine, nil); a.code != want {
			t.Errorf("%s by the proxy: %s", user, a)
		}
	}
	if a := (intruder{}).ask(t, proxy, http.MethodGet, mine, nil); !refused(a.code) {
		t.Errorf("the proxy that names nobody: %s", a)
	}
}
