package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

// specOf is an application with a web server and a bridge, and these policies (YAML).
func specOf(t *testing.T, policies string) *v1beta1.ApplicationSpec {
	t.Helper()
	spec := &v1beta1.ApplicationSpec{Components: []v1beta1.Component{
		{Name: "hello", Type: "component"}, {Name: "web", Type: "capability"}, {Name: "bridge", Type: "capability"},
	}}
	if err := yaml.UnmarshalStrict([]byte(policies), &spec.Policies); err != nil {
		t.Fatal(err)
	}
	return spec
}

func exposeWith(properties string) string {
	return "[{name: p, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {" + properties + "}}]"
}

func TestRead(t *testing.T) {
	for name, tc := range map[string]struct {
		policies string
		want     *policy.Settings
	}{
		"none of the type": {"[{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b, ports: '['}}]", nil},
		"no properties":    {"[{name: p, type: policy.expose.wasmcloud.dev/v1alpha1}]", &policy.Settings{Declared: map[string]bool{}}},
		"redefined": {"[{name: p, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {type: X}}, {name: p, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {type: NodePort}}]",
			&policy.Settings{Declared: map[string]bool{}, Service: policy.Service{Type: corev1.ServiceTypeNodePort}}},
		"ports": {exposeWith(`component: bridge, ports: "[{name: mqtt, port: 1883, appProtocol: mqtt}, {port: 53, targetPort: 5353, protocol: UDP}]"`),
			&policy.Settings{Declared: map[string]bool{"bridge": true}, Ports: []policy.Port{
				{Component: "bridge", Name: "mqtt", Port: 1883, TargetPort: 1883, Protocol: corev1.ProtocolTCP, AppProtocol: "mqtt"},
				{Component: "bridge", Port: 53, TargetPort: 5353, Protocol: corev1.ProtocolUDP}}}},
		"target alone": {exposeWith(`component: web, ports: "[{targetPort: 8080}]"`),
			&policy.Settings{Declared: map[string]bool{"web": true}, Ports: []policy.Port{{Component: "web", Port: 8080, TargetPort: 8080, Protocol: corev1.ProtocolTCP}}}},
		"hidden": {exposeWith(`component: web, ports: "[]"`), &policy.Settings{Declared: map[string]bool{"web": true}}},
		"service": {exposeWith(`type: LoadBalancer, sessionAffinity: ClientIP, sessionAffinityTimeoutSeconds: "600", externalTrafficPolicy: Local,
			internalTrafficPolicy: Cluster, loadBalancerClass: example.com/inner, annotations: "example.com/a: b", labels: "team: shop"`),
			&policy.Settings{Declared: map[string]bool{}, Service: policy.Service{Type: corev1.ServiceTypeLoadBalancer, SessionAffinity: corev1.ServiceAffinityClientIP,
				SessionTimeout: 600, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, InternalTrafficPolicy: corev1.ServiceInternalTrafficPolicyCluster,
				LoadBalancerClass: "example.com/inner", Annotations: map[string]string{"example.com/a": "b"}, Labels: map[string]string{"team": "shop"}}}},
		"two policies agree": {`[{name: a, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {headless: "true", labels: "a: b"}},
			{name: b, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {headless: "true", labels: "c: d"}}]`,
			&policy.Settings{Declared: map[string]bool{}, Service: policy.Service{Headless: true, Labels: map[string]string{"a": "b", "c": "d"}}}},
		"routes": {exposeWith(`routes: "[{kind: HTTPRoute, parentRefs: [{name: gw, namespace: gateways}], hostnames: ['*.example.com'], rules: [{matches: [{path: {value: /}}], backendRefs: [{weight: 90}, {application: two, weight: 10}]}]}]"`),
			&policy.Settings{Declared: map[string]bool{}, Routes: []policy.Route{{Kind: "HTTPRoute", ParentRefs: []policy.ParentRef{{Name: "gw", Namespace: "gateways"}},
				Hostnames: []string{"*.example.com"}, Rules: []policy.Rule{{Matches: []map[string]any{{"path": map[string]any{"value": "/"}}},
					BackendRefs: []policy.BackendRef{{Weight: new(int32(90))}, {Application: "two", Weight: new(int32(10))}}}}}}}},
		"ingress": {exposeWith(`ingress: "{className: traefik, hosts: [a.example.com], paths: [/x], tlsSecret: s, port: http}"`),
			&policy.Settings{Declared: map[string]bool{}, Ingress: &policy.Ingress{ClassName: "traefik", Hosts: []string{"a.example.com"}, Paths: []string{"/x"}, TLSSecret: "s", Port: "http"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := policy.Read("app", specOf(t, tc.policies))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

// Every problem names application, policy, property, field and what to do.
func TestRead_Problems(t *testing.T) {
	for name, tc := range map[string]struct{ properties, where, says string }{
		"unknown property":     {`port: "80"`, "property port", "annotations, component"},
		"unknown component":    {`component: x`, "property component", "name one of web, bridge"},
		"a component":          {`component: hello`, "property component", "no capability provider"},
		"ports of whom":        {`ports: "[{port: 1}]"`, "property component", "name one of web, bridge"},
		"no YAML":              {`component: web, ports: "["`, "property ports", "no YAML"},
		"no list":              {`component: web, ports: "{port: 1}"`, "property ports", "a map stands where a list belongs"},
		"a word for a number":  {`component: web, ports: "[{port: http}]"`, "property ports, field port", "a string stands where a whole number belongs"},
		"unknown field":        {`component: web, ports: "[{port: 1, number: 2}]"`, "property ports, field [0].number", "no such field"},
		"field twice":          {`component: web, ports: "[{port: 1, port: 2}]"`, "property ports", "already set"},
		"no number":            {`component: web, ports: "[{name: http}]"`, "property ports, field [0].port", "from 1 to 65535"},
		"number too large":     {`component: web, ports: "[{port: 65616}]"`, "property ports, field [0].port", "65616"},
		"protocol":             {`component: web, ports: "[{port: 1, protocol: tcp}]"`, "property ports, field [0].protocol", "use TCP or UDP"},
		"name of a port":       {`component: web, ports: "[{port: 1, name: A_B}]"`, "property ports, field [0].name", "lower-case"},
		"appProtocol":          {`component: web, ports: "[{port: 1, appProtocol: a b}]"`, "property ports, field [0].appProtocol", "kubernetes.io/h2c"},
		"one port twice":       {`component: web, ports: "[{port: 1}, {port: 1, targetPort: 2}]"`, "property ports", "give each its own port"},
		"one name twice":       {`component: web, ports: "[{port: 1, name: a}, {port: 2, name: a}]"`, "property ports", "give each its own name"},
		"type":                 {`type: ExternalName`, "property type", "use ClusterIP, NodePort, LoadBalancer"},
		"headless and address": {`headless: "true", type: NodePort`, "property type", "leave out headless or type"},
		"timeout alone":        {`sessionAffinityTimeoutSeconds: "5"`, "property sessionAffinityTimeoutSeconds", "set sessionAffinity to ClientIP"},
		"traffic policy alone": {`externalTrafficPolicy: Local`, "property externalTrafficPolicy", "set type to"},
		"class alone":          {`loadBalancerClass: a/b`, "property loadBalancerClass", "set type to LoadBalancer"},
		"our annotation":       {`annotations: "k8s.wasmcloud.dev/application: x"`, "property annotations, field [k8s.wasmcloud.dev/application]", "remove it"},
		"our label":            {`labels: "app.kubernetes.io/managed-by: me"`, "property labels, field [app.kubernetes.io/managed-by]", "remove it"},
		"label of slices":      {`labels: "kubernetes.io/service-name: me"`, "property labels, field [kubernetes.io/service-name]", "remove it"},
		"value of a label":     {`labels: "a: b c"`, "property labels, field [a]", "63 letters"},
		"value is a number":    {`labels: "a: 1"`, "property labels", "a number stands where a string belongs"},
		"kind of a route":      {`routes: "[{kind: UDPRoute, parentRefs: [{name: g}]}]"`, "property routes, field [0].kind", "HTTPRoute"},
		"no Gateway":           {`routes: "[{kind: HTTPRoute}]"`, "property routes, field [0].parentRefs", "name one"},
		"two routes":           {`routes: "[{kind: HTTPRoute, parentRefs: [{name: g}]}, {kind: HTTPRoute, parentRefs: [{name: g}]}]"`, "property routes, field [1].name", "give each its own"},
		"host name":            {`routes: "[{kind: HTTPRoute, parentRefs: [{name: g}], hostnames: ['a b']}]"`, "property routes, field [0].hostnames[0]", "*.example.com"},
		"host of TCP":          {`routes: "[{kind: TCPRoute, parentRefs: [{name: g}], hostnames: [a]}]"`, "property routes, field [0].hostnames", "use TLSRoute"},
		"TLS without host":     {`routes: "[{kind: TLSRoute, parentRefs: [{name: g}]}]"`, "property routes, field [0].hostnames", "at least one"},
		"match of TCP":         {`routes: "[{kind: TCPRoute, parentRefs: [{name: g}], rules: [{matches: [{}]}]}]"`, "property routes, field [0].rules[0]", "use HTTPRoute"},
		"two backends in one":  {`routes: "[{kind: HTTPRoute, parentRefs: [{name: g}], rules: [{backendRefs: [{application: a, name: b}]}]}]"`, "property routes, field [0].rules[0].backendRefs[0]", "leave out name"},
		"backend without port": {`routes: "[{kind: HTTPRoute, parentRefs: [{name: g}], rules: [{backendRefs: [{name: b}]}]}]"`, "property routes, field [0].rules[0].backendRefs[0].port", "add it"},
		"field of a backend":   {`routes: "[{kind: HTTPRoute, parentRefs: [{name: g}], rules: [{backendRefs: [{wait: 1}]}]}]"`, "property routes, field [0].rules[0].backendRefs[0].wait", "no such field"},
		"path of an Ingress":   {`ingress: "{paths: [x]}"`, "property ingress, field paths[0]", "begin it with /"},
		"path type":            {`ingress: "{pathType: Regex}"`, "property ingress, field pathType", "use Prefix"},
		"certificate of whom":  {`ingress: "{tlsSecret: x}"`, "property ingress, field hosts", "tlsSecret"},
		"a long text":          {`component: web, ports: "` + strings.Repeat(" ", 70<<10) + `[]"`, "property ports", "64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := policy.Read("app", specOf(t, exposeWith(tc.properties)))
			if len(problems) == 0 {
				t.Fatal("no problem")
			}
			for _, p := range problems {
				if strings.Contains(p.Error(), `application app, policy "p", `+tc.where+": ") && strings.Contains(p.Text, tc.says) {
					return
				}
			}
			t.Errorf("problems %v, want one of %s with %q", problems, tc.where, tc.says)
		})
	}
}

func TestRead_PoliciesThatContradict(t *testing.T) {
	two := func(a, b string) string {
		return "[{name: a, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {" + a + "}}, {name: b, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {" + b + "}}]"
	}
	for _, policies := range []string{
		two("type: NodePort", "type: ClusterIP"), two(`labels: "a: b"`, `labels: "a: c"`),
		two(`component: web, ports: "[{port: 1}]"`, `component: bridge, ports: "[{port: 1, targetPort: 2}]"`),
	} {
		_, problems := policy.Read("app", specOf(t, policies))
		if len(problems) != 1 || problems[0].Policy != "b" || problems[0].Index != 1 {
			t.Errorf("%s: problems %v, want one of policy b", policies, problems)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{"[{port: 1}]", "{a: b}", "[{kind: HTTPRoute, parentRefs: [{name: g}], rules: [{backendRefs: [{}]}]}]", "&a [*a]", "a: &x [*x, *x]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, property := range []string{"ports", "routes", "ingress", "labels", "annotations", "type", "hostAddressLabel", "sessionAffinityTimeoutSeconds"} {
			spec := &v1beta1.ApplicationSpec{Components: []v1beta1.Component{{Name: "web", Type: "capability"}},
				Policies: []v1beta1.Policy{{Name: "p", Type: policy.ExposeType, Properties: map[string]string{property: text}}}}
			settings, problems := policy.Read("app", spec)
			if settings == nil {
				t.Fatal("an expose policy is not read")
			}
			for _, p := range problems {
				if p.Text == "" {
					t.Errorf("a problem without a word: %+v", p)
				}
			}
		}
	})
}
