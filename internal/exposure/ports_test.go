package exposure

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeView is a lattice that a test fills.
type fakeView struct {
	links   map[string][]Link
	configs map[string]map[string]string
	hosts   map[string][]Host
}

func (v *fakeView) Links(source string) []Link { return v.links[source] }
func (v *fakeView) Hosts(id string) []Host     { return v.hosts[id] }
func (v *fakeView) Config(name string) (map[string]string, bool) {
	c, found := v.configs[name]
	return c, found
}

func httpLink(target string, configs ...string) Link {
	return Link{Target: target, Namespace: "wasi", Package: "http", Interfaces: []string{"incoming-handler"}, SourceConfig: configs}
}

func TestIsHTTPServer(t *testing.T) {
	for image, want := range map[string]bool{
		"ghcr.io/wasmcloud/http-server:0.27.0":                     true,
		"wasmcloud+builtin://http-server":                          true,
		"registry.example.com:5000/mirror/http-server@sha256:abcd": true,
		"oci://ghcr.io/acme/my-http-server:1":                      true,
		"ghcr.io/wasmcloud/http-client:0.13.0":                     false,
		"ghcr.io/http-server/keyvalue-redis:0.28.2":                false,
		"wasmcloud+builtin://http-client":                          false,
		"":                                                         false,
	} {
		if got := isHTTPServer(image); got != want {
			t.Errorf("isHTTPServer(%q) = %v", image, got)
		}
	}
}

func TestPortsOf(t *testing.T) {
	external := Provider{ID: "p", Image: "ghcr.io/wasmcloud/http-server:0.27.0"}
	with := func(p Provider, configs ...string) Provider { p.Config = configs; return p }
	builtin := Provider{ID: "p", Image: builtinProvider}
	tests := map[string]struct {
		provider Provider
		links    []Link
		configs  map[string]map[string]string
		want     map[uint16]string // number: targets, with a star where only the loopback is listened on
	}{
		"the plain case":   {external, []Link{httpLink("c", "addr")}, map[string]map[string]string{"addr": {"address": "0.0.0.0:8080"}}, map[uint16]string{8080: "c"}},
		"no link, no port": {external, nil, nil, map[uint16]string{}},
		"another interface": {external, []Link{{Target: "c", Namespace: "wasi", Package: "http", Interfaces: []string{"outgoing-handler"}}},
			nil, map[uint16]string{}},
		"key in any case": {external, []Link{httpLink("c", "addr")}, map[string]map[string]string{"addr": {"Address": "[::]:9090"}}, map[uint16]string{9090: "c"}},
		"later config wins": {external, []Link{httpLink("c", "one", "two")},
			map[string]map[string]string{"one": {"address": "0.0.0.0:1"}, "two": {"address": "0.0.0.0:2"}}, map[uint16]string{2: "c"}},
		"default of the provider": {with(external, "own"), []Link{httpLink("c")}, map[string]map[string]string{"own": {"default_address": "0.0.0.0:7000"}}, map[uint16]string{7000: "c"}},
		"default of the program":  {external, []Link{httpLink("c")}, nil, map[uint16]string{8000: "c"}},
		"json": {external, []Link{httpLink("c", "addr")},
			map[string]map[string]string{"addr": {"config_json": `{"address":"0.0.0.0:81"}`, "address": "0.0.0.0:82"}}, map[uint16]string{81: "c"}},
		"base64 before json": {external, []Link{httpLink("c", "addr")}, map[string]map[string]string{"addr": {
			"config_b64": base64.RawStdEncoding.EncodeToString([]byte(`{"address":"0.0.0.0:80"}`)), "config_json": `{"address":"0.0.0.0:81"}`}}, map[uint16]string{80: "c"}},
		"json without address ignores the provider's default": {with(external, "own"), []Link{httpLink("c", "addr")},
			map[string]map[string]string{"own": {"default_address": "0.0.0.0:7000"}, "addr": {"config_json": `{}`}}, map[uint16]string{8000: "c"}},
		"two links, two ports": {external, []Link{httpLink("b", "y"), httpLink("a", "x")},
			map[string]map[string]string{"x": {"address": "0.0.0.0:1"}, "y": {"address": "0.0.0.0:2"}}, map[uint16]string{1: "a", 2: "b"}},
		"two links, one port": {external, []Link{httpLink("b"), httpLink("a")}, nil, map[uint16]string{8000: "b,a"}},
		"loopback":            {external, []Link{httpLink("c", "addr")}, map[string]map[string]string{"addr": {"address": "127.0.0.1:80"}}, map[uint16]string{80: "*c"}},
		"path mode": {with(external, "own"), []Link{httpLink("a", "x"), httpLink("b")},
			map[string]map[string]string{"own": {"routing_mode": "path", "address": "0.0.0.0:88"}, "x": {"address": "0.0.0.0:1", "path": "/"}}, map[uint16]string{88: "a,b"}},
		"path mode without a link": {with(external, "own"), nil, map[string]map[string]string{"own": {"routing_mode": "path", "ADDRESS": "0.0.0.0:88"}}, map[uint16]string{88: ""}},
		"host mode by JSON": {with(external, "own"), []Link{httpLink("a")}, map[string]map[string]string{"own": {"routing_mode": "host", "config_json": `{"address":"0.0.0.0:81"}`,
			"default_address": "0.0.0.0:7000"}}, map[uint16]string{81: "a"}},
		"host mode by the provider's default": {with(external, "own"), []Link{httpLink("a")}, map[string]map[string]string{"own": {"routing_mode": "host",
			"default_address": "0.0.0.0:7000"}}, map[uint16]string{7000: "a"}},
		"keys of the provider in lower case only": {with(external, "own"), []Link{httpLink("a", "x")}, map[string]map[string]string{"own": {"Routing_Mode": "path", "Default_Address": "0.0.0.0:7000"},
			"x": {"address": "0.0.0.0:1"}}, map[uint16]string{1: "a"}},
		"names in JSON as they are written": {external, []Link{httpLink("c", "addr")}, map[string]map[string]string{"addr": {"config_json": `{"Address":"0.0.0.0:81"}`}}, map[uint16]string{8000: "c"}},
		"the setting port means nothing":    {external, []Link{httpLink("c", "addr")}, map[string]map[string]string{"addr": {"port": "99"}}, map[uint16]string{8000: "c"}},
		"address mode of a builtin one": {with(builtin, "own"), []Link{httpLink("a", "x"), httpLink("b")},
			map[string]map[string]string{"own": {"default_address": "0.0.0.0:89"}, "x": {"address": "[::1]:90"}}, map[uint16]string{90: "*a", 89: "b"}},
		"a configuration that is not there yet": {with(external, "own"), []Link{httpLink("a", "x")}, nil, map[uint16]string{8000: "a"}},
		"host mode of a builtin one": {with(builtin, "own"), []Link{httpLink("a")},
			map[string]map[string]string{"own": {"routing_mode": "host", "address": "0.0.0.0:88", "default_address": "0.0.0.0:89"}}, map[uint16]string{89: "a"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ports, err := portsOf(tc.provider, &fakeView{links: map[string][]Link{"p": tc.links}, configs: tc.configs})
			if err != nil {
				t.Fatal(err)
			}
			got := map[uint16]string{}
			for _, p := range ports {
				targets := strings.Join(p.targets, ",")
				if p.loopback {
					targets = "*" + targets
				}
				got[p.number] = targets
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
		})
	}
}

// TLS needs both files, in either form, and a provider of its own.
func TestPortsOf_TLS(t *testing.T) {
	external, builtin := Provider{ID: "p", Image: "http-server"}, Provider{ID: "p", Image: builtinProvider}
	for name, tc := range map[string]struct {
		provider Provider
		settings map[string]string
		want     string
	}{
		"none":       {external, map[string]string{}, ""},
		"half":       {external, map[string]string{"tls_cert_file": "/c"}, ""},
		"both":       {external, map[string]string{"TLS_cert_file": "/c", "tls_priv_key_file": "/k"}, "https"},
		"JSON":       {external, map[string]string{"config_json": `{"tls_cert_file":"/c","tls_priv_key_file":"/k"}`}, "https"},
		"JSON, old":  {external, map[string]string{"config_json": `{"tls":{"cert_file":"/c","priv_key_file":"/k"}}`}, "https"},
		"JSON, half": {external, map[string]string{"config_json": `{"tls":{"cert_file":"/c"}}`}, ""},
		"builtin":    {builtin, map[string]string{"tls_cert_file": "/c", "tls_priv_key_file": "/k"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			view := &fakeView{links: map[string][]Link{"p": {httpLink("c", "x")}}, configs: map[string]map[string]string{"x": tc.settings}}
			found, err := portsOf(tc.provider, view)
			if err != nil || len(found) != 1 || found[0].appProtocol != tc.want {
				t.Errorf("ports = %+v, %v, want protocol %q", found, err, tc.want)
			}
		})
	}
}

func TestPortsOf_RoutingModeThatIsNone(t *testing.T) {
	view := &fakeView{configs: map[string]map[string]string{"own": {"routing_mode": "Path"}}}
	if _, err := portsOf(Provider{ID: "p", Config: []string{"own"}}, view); err == nil || !strings.Contains(err.Error(), "use address, path or host") {
		t.Errorf("error = %v", err)
	}
}

func TestPortsOf_Errors(t *testing.T) {
	for _, address := range []string{"localhost:8080", ":8080", "8080", "0.0.0.0:0", "0.0.0.0:99999", " 0.0.0.0:80"} {
		view := &fakeView{links: map[string][]Link{"p": {httpLink("c", "a")}}, configs: map[string]map[string]string{"a": {"address": address}}}
		if _, err := portsOf(Provider{ID: "p"}, view); err == nil || !strings.Contains(err.Error(), "0.0.0.0:8080") {
			t.Errorf("address %q: error = %v", address, err)
		}
	}
}

func TestServiceName(t *testing.T) {
	for name, want := range map[string]string{"hello-world": "hello-world", "a": "a"} {
		if got := serviceName(name); got != want {
			t.Errorf("serviceName(%q) = %q", name, got)
		}
	}
	seen := map[string]string{}
	for _, name := range []string{"1app", "My_App", "my_app", "my-app-", "-x", "__", strings.Repeat("a", 63) + "B", "9" + strings.Repeat("x", 62)} {
		got := serviceName(name)
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q are both called %q", name, other, got)
		}
		seen[got] = name
		if serviceName(got) != got {
			t.Errorf("serviceName(%q) = %q, which is no name of a Service", name, got)
		}
	}
}
