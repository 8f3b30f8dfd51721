package v1alpha1_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// definition returns the generated definition of a kind as the server holds it.
func definition(t *testing.T, kind string) *apiextensions.CustomResourceDefinition {
	t.Helper()
	for _, text := range v1alpha1.CRDs() {
		if crd := definitionOf(t, text); crd.Spec.Names.Kind == kind {
			return crd
		}
	}
	t.Fatalf("there is no definition of %s", kind)
	return nil
}

func definitionOf(t *testing.T, text string) *apiextensions.CustomResourceDefinition {
	t.Helper()
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict([]byte(text), &external); err != nil {
		t.Fatal(err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&external)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&external.Spec)
	var internal apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&external, &internal, nil); err != nil {
		t.Fatal(err)
	}
	return &internal
}

// TestDefinition asks the server's own validation, cost limits of CEL rules included.
func TestDefinition(t *testing.T) {
	if n := len(v1alpha1.CRDs()); n != 2 {
		t.Errorf("there are %d definitions, want 2", n)
	}
	for _, text := range v1alpha1.CRDs() {
		crd := definitionOf(t, text)
		crd.Status.StoredVersions = []string{"v1alpha1"}
		if errs := crdvalidation.ValidateCustomResourceDefinition(context.Background(), crd); len(errs) > 0 {
			t.Errorf("%s: %v", crd.Name, errs.ToAggregate())
		}
		if len(text) > 200_000 {
			t.Errorf("the definition of %s has %d bytes; kubectl apply takes 256 KiB", crd.Name, len(text))
		}
	}
}

// check defaults, prunes and validates an object as the server does, and returns it.
func check(t *testing.T, text string) (map[string]any, field.ErrorList) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	if err := json.Unmarshal(raw, &object); err != nil { // whole numbers stay whole, as in the server
		t.Fatal(err)
	}
	crd := definition(t, object["kind"].(string))
	props := crd.Spec.Validation
	if props == nil {
		props = crd.Spec.Versions[0].Schema
	}
	structural, err := schema.NewStructural(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	pruning.Prune(object, structural, true)
	defaulting.Default(object, structural)
	validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	errs := append(validation.ValidateCustomResource(nil, object, validator), listtype.ValidateListSetsAndMaps(nil, structural, object)...)
	if len(errs) > 0 {
		return object, errs
	}
	celErrs, _ := cel.NewValidator(structural, true, celconfig.PerCallLimit).Validate(context.Background(), nil, structural, object, nil, celconfig.RuntimeCELCostBudget)
	return object, append(errs, celErrs...)
}

func group(spec string) string {
	return "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata: {name: hosts, namespace: default}\nspec: " + spec + "\n"
}

func TestSchema_Defaults(t *testing.T) {
	object, errs := check(t, group("{lattice: default, version: 1.9.2}"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	spec := object["spec"].(map[string]any)
	for name, want := range map[string]any{"hostReplicas": int64(1), "natsClientPort": int64(4222), "natsLeafnodePort": int64(7422),
		"leafNodeDomain": "leaf", "jetstreamDomain": "default", "logLevel": "INFO", "configServiceEnabled": false, "allowLatest": false} {
		if spec[name] != want {
			t.Errorf("%s = %v (%T), want %v", name, spec[name], spec[name], want)
		}
	}
	for _, name := range []string{"natsAddress", "natsLeafImage", "image"} {
		if _, set := spec[name]; set {
			t.Errorf("%s has a default, which the operator could not tell from a user's choice", name)
		}
	}
}

func TestSchema_V1Manifest(t *testing.T) {
	for _, path := range []string{"../../../internal/hostgroup/testdata/full.input.yaml", "../../../examples/hello/hostconfig.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		object, errs := check(t, string(text))
		if len(errs) > 0 {
			t.Errorf("%s: %v", path, errs.ToAggregate())
		}
		var typed v1alpha1.WasmCloudHostConfig
		again, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(again, &typed); err != nil {
			t.Errorf("%s: the schema keeps what the type does not know: %v", path, err)
		}
	}
}

// TestSchema_Documented applies every example of the spec page.
func TestSchema_Documented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/spec/wasmcloudhostconfig.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(apiVersion: k8s.wasmcloud.dev.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) < 2 {
		t.Fatalf("%d examples found", len(examples))
	}
	for i, example := range examples {
		if _, errs := check(t, example[1]); len(errs) > 0 {
			t.Errorf("example %d: %v", i, errs.ToAggregate())
		}
	}
	for name := range definition(t, v1alpha1.Kind).Spec.Validation.OpenAPIV3Schema.Properties["spec"].Properties {
		if !strings.Contains(string(page), "`"+name) {
			t.Errorf("the page does not name %s", name)
		}
	}
}

func TestSchema_Errors(t *testing.T) {
	for name, tc := range map[string]struct{ spec, says string }{
		"dots in the lattice":   {"{lattice: a.b, version: '1'}", "use only letters, digits, '-' and '_'"},
		"empty lattice":         {"{lattice: '', version: '1'}", "spec.lattice"},
		"no version":            {"{lattice: a}", "spec.version"},
		"port in the address":   {"{lattice: a, version: '1', natsAddress: 'nats://x:4222'}", "natsLeafnodePort"},
		"negative replicas":     {"{lattice: a, version: '1', hostReplicas: -1}", "spec.hostReplicas"},
		"wildcard in a topic":   {"{lattice: a, version: '1', secretsTopicPrefix: 'a.*'}", "wasmcloud.secrets"},
		"policy without topic":  {"{lattice: a, version: '1', policyService: {timeoutMs: 5}}", "need policyService.topic"},
		"authority of nothing":  {"{lattice: a, version: '1', certificates: {authorities: [{name: x}]}}", "exactly one of secret and configMap"},
		"observability nowhere": {"{lattice: a, version: '1', observability: {enable: true}}", "endpoint"},

		"two ways to the hub":      {"{lattice: a, version: '1', natsAddress: 'nats://x', nats: {addresses: ['nats://y']}}", "move natsAddress into nats.addresses"},
		"port in an address":       {"{lattice: a, version: '1', nats: {addresses: ['nats://x', 'nats://y:4222']}}", "ports go into natsClientPort"},
		"login in an address":      {"{lattice: a, version: '1', nats: {addresses: ['nats://u:p@x']}}", "the login into the Secret of secretName"},
		"scheme of an address":     {"{lattice: a, version: '1', nats: {addresses: ['http://x']}}", "tls://nats-1.example.com"},
		"hub authority of nothing": {"{lattice: a, version: '1', nats: {tls: {certificateAuthority: {}}}}", "exactly one of secretName and configMapName"},
		"hub authority of two":     {"{lattice: a, version: '1', nats: {tls: {certificateAuthority: {secretName: x, configMapName: z}}}}", "exactly one of secretName and configMapName"},
		"two kinds of storage":     {"{lattice: a, version: '1', nats: {leafStorage: {sizeLimit: 1Gi, volumeClaim: {}}}}", "remove one"},
		"no quantity":              {"{lattice: a, version: '1', nats: {leafStorage: {maxFileStore: much}}}", "maxFileStore"},
		"label of Trellis":         {"{lattice: a, version: '1', schedulingOptions: {podLabels: {app.kubernetes.io/instance: x}}}", "podLabels sets a label that Trellis sets"},
		"host label as pod label":  {"{lattice: a, version: '1', schedulingOptions: {podLabels: {host-label.k8s.wasmcloud.dev/zone: x}}}", "into hostLabels"},
		"checksum":                 {"{lattice: a, version: '1', schedulingOptions: {podAnnotations: {k8s.wasmcloud.dev/config-checksum: x}}}", "podAnnotations sets"},
		"roll-out without room":    {"{lattice: a, version: '1', schedulingOptions: {rollout: {maxUnavailable: 0, maxSurge: 0%}}}", "raise one"},
		"no percentage":            {"{lattice: a, version: '1', schedulingOptions: {rollout: {maxSurge: many}}}", "a percentage such as 25%"},
		"negative surge":           {"{lattice: a, version: '1', schedulingOptions: {rollout: {maxSurge: -1}}}", "a number from 0"},
		"budget of both kinds":     {"{lattice: a, version: '1', schedulingOptions: {podDisruptionBudget: {minAvailable: 1, maxUnavailable: 1}}}", "remove the other"},
		"budget that is off":       {"{lattice: a, version: '1', schedulingOptions: {podDisruptionBudget: {enabled: false, maxUnavailable: 1}}}", "remove them or enabled"},
		"feature nobody knows":     {"{lattice: a, version: '1', features: [warp-drive]}", "builtin-http-server"},
		"calls too short":          {"{lattice: a, version: '1', maxExecutionTimeMs: 20}", "1000"},
		"subject of everything":    {"{lattice: a, version: '1', nats: {publish: ['>']}}", "begins with a word"},
		"subject of NATS":          {"{lattice: a, version: '1', nats: {publish: ['$JS.API.>']}}", "begins with a word"},
		"wildcard at the front":    {"{lattice: a, version: '1', nats: {publish: ['*.orders']}}", "begins with a word"},
		"two subjects":             {"{lattice: a, version: '1', nats: {publish: ['a b']}}", "begins with a word"},
		"an empty word":            {"{lattice: a, version: '1', nats: {publish: ['a..b']}}", "begins with a word"},
		"subjects of secrets":      {"{lattice: a, version: '1', nats: {publish: ['wasmcloud.secrets.team-b.hosts.v1alpha1.kube.get']}}", "kept from host groups"},
		"around secrets":           {"{lattice: a, version: '1', nats: {publish: ['wasmcloud.*.team-b.>']}}", "kept from host groups"},
		"commands":                 {"{lattice: a, version: '1', nats: {publish: ['wasmbus.ctl.>']}}", "kept from host groups"},
		"wadm":                     {"{lattice: a, version: '1', nats: {publish: [orders, wadm.api.a.model.put]}}", "kept from host groups"},
		"hearing secrets":          {"{lattice: a, version: '1', nats: {subscribe: ['wasmcloud.secrets.>']}}", "kept from host groups"},
		"hearing everything":       {"{lattice: a, version: '1', nats: {subscribe: ['>']}}", "nats.subscribe is a NATS subject"},
		"bucket of the lattice":    {"{lattice: a, version: '1', nats: {buckets: [CONFIGDATA_a]}}", "not given to applications"},
		"bucket of Trellis":        {"{lattice: a, version: '1', nats: {buckets: [TRELLIS-LEASES]}}", "not given to applications"},
		"pattern of buckets":       {"{lattice: a, version: '1', nats: {buckets: ['a*']}}", "buckets"},
		"heartbeats too rare":      {"{lattice: a, version: '1', heartbeatIntervalSeconds: 60}", "30"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := check(t, group(tc.spec))
			if len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), tc.says) {
				t.Errorf("errors = %v, want one that names %q", errs, tc.says)
			}
		})
	}
}

func TestSchema_Takes(t *testing.T) {
	for name, spec := range map[string]string{
		"IPv6 address":                "{lattice: a, version: '1', natsAddress: 'nats://[fd00::1]'}",
		"empty address":               "{lattice: a, version: '1', natsAddress: ''}",
		"address with path and login": "{lattice: a, version: '1', natsAddress: 'wss://user:pw@nats.example.com'}",
		"a pod spec of tomorrow":      "{lattice: a, version: '1', schedulingOptions: {podTemplateAdditions: {somethingNew: {a: 1}}}}",
		"several addresses":           "{lattice: a, version: '1', natsAddress: '', nats: {addresses: ['tls://nats-1.example.com', 'wss://[fd00::1]'], tls: {}}}",
		"subjects and buckets":        "{lattice: a, version: '1', nats: {subscribe: ['orders.*'], publish: ['orders.>', 'prices.*.eur', 'wasmcloud.messages', wasmbus.mine, 'a/b:c=d'], buckets: [sessions]}}",
		"numbers and percentages":     "{lattice: a, version: '1', schedulingOptions: {rollout: {maxUnavailable: 0, maxSurge: 100%}, podDisruptionBudget: {enabled: true, minAvailable: 50%}}}",
		"unknown fields are pruned":   "{lattice: a, version: '1', daemonset: true, schedulingOptions: {resources: {wasmCloudHost: {}}}}",
	} {
		if _, errs := check(t, group(spec)); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
	}
}
