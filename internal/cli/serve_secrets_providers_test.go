package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nkeys"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/archive"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// providerShop runs two providers, of which db is in a registry with a login, and links to a third that platform runs.
const providerShop = `
policies:
  - {name: own, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube}}
components:
  - name: api
    type: component
    properties: {image: "CLOSED/acme/api:1"}
    traits:
      - {type: spreadscaler, properties: {instances: 1}}
      - type: link
        properties:
          namespace: wasmcloud
          package: postgres
          interfaces: [query]
          source: {secrets: [{name: a, properties: {policy: own, key: app, field: of-the-component}}]}
          target: {name: db, secrets: [{name: b, properties: {policy: own, key: app, field: of-the-target}}]}
      - type: link
        properties: {namespace: wasi, package: keyvalue, interfaces: [store], target: {name: shared, secrets: [{name: c, properties: {policy: own, key: app, field: of-the-shared}}]}}
  - name: db
    type: capability
    properties:
      image: CLOSED/acme/db:1
      secrets: [{name: d, properties: {policy: own, key: app, field: of-the-provider}}]
  - name: http
    type: capability
    properties: {image: "OPEN/acme/http:1", secrets: [{name: g, properties: {policy: own, key: app, field: of-http-alone}}]}
    traits:
      - type: link
        properties:
          namespace: wasmcloud
          package: postgres
          interfaces: [query]
          source: {secrets: [{name: e, properties: {policy: own, key: app, field: of-http}}]}
          target: {name: db, secrets: [{name: f, properties: {policy: own, key: app, field: of-db}}]}
  - name: web
    type: capability
    properties: {image: "wasmcloud+builtin://http-server"}
    traits:
      - type: link
        properties: {namespace: wasmcloud, package: postgres, interfaces: [query], target: {name: db, secrets: [{name: h, properties: {policy: own, key: app, field: of-the-builtin}}]}}
  - name: shared
    type: capability
    properties: {application: {name: platform, component: kv}}
`

const platform = `
components:
  - name: kv
    type: capability
    properties: {image: "OPEN/acme/kv:1"}
`

type deployedApps map[string]*grants.Application

func (d deployedApps) Deployed(_ context.Context, _, name string) (*grants.Application, error) {
	return d[name], nil
}

// tokensOf are those that hosts have, by the name of what they run: three providers and a component of one developer,
// and what somebody else has of one of them. The first are in the registry.
func tokensOf(t *testing.T, all registryOf) map[string]string {
	t.Helper()
	tokens := map[string]string{}
	packed := func(name string, change func(*sign.ProviderOptions)) []byte {
		archived := signedProvider(t, change)
		text, err := archive.Token(bytes.NewReader(archived))
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = text
		return archived
	}
	for _, name := range []string{"db", "http", "kv"} {
		all.push(t, name, packed(name, func(o *sign.ProviderOptions) { o.Provider, o.Name = sign.ProviderSeed(name), name }), mediaProvider)
	}
	packed("db of another signer", func(o *sign.ProviderOptions) { o.Account, _ = sign.Seeds("mallory") })
	packed("db that has expired", func(o *sign.ProviderOptions) { o.Expires = time.Unix(2, 0) })
	code := signedComponent(t, time.Time{})
	all.push(t, "api", code, "application/wasm")
	signed, err := token.Read(code, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tokens["api"] = signed.JWT
	return tokens
}

func deployedShops(t *testing.T, all registryOf) deployedApps {
	t.Helper()
	apps := deployedApps{}
	for name, text := range map[string]string{"shop": providerShop, "platform": platform} {
		var spec oam.ApplicationSpec
		if err := yaml.UnmarshalStrict([]byte(strings.NewReplacer("CLOSED", all.closed, "OPEN", all.open).Replace(text)), &spec); err != nil {
			t.Fatal(err)
		}
		apps[name] = &grants.Application{Namespace: "team-a", Name: name, Spec: &spec, Reviewed: "kube"}
	}
	return apps
}

// serveProviders serves secrets to a host of group hosts in team-a, whose images come from registries. What it returns asks
// as that host does.
func serveProviders(t *testing.T, all registryOf) func(topic, field, entity, application string) (any, error) {
	t.Helper()
	tokens := tokensOf(t, all)
	node, err := nkeys.CreateServer()
	if err != nil {
		t.Fatal(err)
	}
	hostID, err := node.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	hostJWT, err := token.ForHost(hostID, "host", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	source, err := newRegistries(config.Hosts{})
	if err != nil {
		t.Fatal(err)
	}
	group := hostGroupIn("default")
	group.Spec.RegistryCredentialsSecret = "registry"
	granted := &v1alpha1.SecretGrant{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "g"}, Spec: v1alpha1.SecretGrantSpec{
		From:    []v1alpha1.SecretGrantFrom{{Namespaces: []string{"team-a"}, Lattices: []string{"default"}, Applications: []string{"shop"}, Components: []string{"db", "http"}}},
		Secrets: []v1alpha1.GrantedSecret{{Name: "app"}}, Unauthenticated: true,
	}}
	reader := fakeReader(t, hostGroupPod("hosts"), group, granted)
	values := map[string][]byte{}
	for _, field := range []string{"of-the-component", "of-the-target", "of-the-shared", "of-the-provider", "of-http", "of-db", "of-http-alone", "of-the-builtin"} {
		values[field] = []byte(field + secretCanary)
	}
	kube := secretReader{fake.NewClientset(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}, Data: values},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "registry"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(dockerConfig(all.closed))}},
	).CoreV1()}
	host := census.Host{ID: hostID, Inventory: lattice.Inventory{Labels: podLabelsOfHost}}
	keeper, err := grants.New(grants.Options{
		Applications: deployedShops(t, all), Reader: kube, Reviewer: grants.NewReviews(noReviews{}, clock.RealClock{}), Lister: grantLister{reader},
		Hosts:  secretHosts{func(string) ([]census.Host, error) { return []census.Host{host}, nil }, reader},
		Images: newSecretImages(source, groupLogins{reader, kube}.of),
	})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ringOf(keySecret(map[string]string{"current": firstSeed}))
	if err != nil {
		t.Fatal(err)
	}
	conn := serveSecrets(t, &secretService{keyring: ring, keeper: keeper, auditor: secrets.NewLogAuditor(logr.Discard())}, "")
	return func(topic, field, entity, application string) (any, error) {
		ref := secret.Reference{Name: "n", Backend: "kube", Key: "app", Field: &field, Policy: `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{}}`}
		got, err := secret.NewClient(conn, topic, 5*time.Second).Get(t.Context(), ref, secret.Identity{EntityJWT: tokens[entity], HostJWT: hostJWT, Application: &application})
		if err != nil {
			return nil, err
		}
		return got.Reveal(), nil
	}
}

// TestSecretService_Providers: hosts ask for the secrets of providers and of their links, in the name of the application
// that runs the provider. The images are real ones, of which some need the login of the host group.
func TestSecretService_Providers(t *testing.T) {
	const known, plain = "wasmcloud.secrets.team-a.hosts", "wasmcloud.secrets"
	ask := serveProviders(t, newRegistryOf(t))
	for name, tc := range map[string]struct {
		topic, field, entity, application string
		says                              string // empty: the value is given
	}{
		"its own":                           {known, "of-the-provider", "db", "shop", ""},
		"of a link, target":                 {known, "of-the-target", "db", "shop", ""},
		"of a link, source, by the target":  {known, "of-the-component", "db", "shop", ""},
		"two providers, source":             {known, "of-http", "http", "shop", ""},
		"two providers, target":             {known, "of-db", "db", "shop", ""},
		"two providers, source, by target":  {known, "of-http", "db", "shop", ""},
		"two providers, target, by source":  {known, "of-db", "http", "shop", ""},
		"of a link to one that is built in": {known, "of-the-builtin", "db", "shop", ""},
		"by a grant, open registry":         {plain, "of-http-alone", "http", "shop", ""},
		"by a grant, if another could ask":  {plain, "of-http", "http", "shop", "image of component db could not be read"},
		"by a grant, closed registry":       {plain, "of-the-provider", "db", "shop", "could not be read"},
		"of another provider":               {known, "of-the-provider", "http", "shop", "unauthorized"},
		"of another link":                   {known, "of-the-target", "http", "shop", "unauthorized"},
		"of a link, by the component":       {known, "of-the-component", "api", "shop", "unauthorized"},
		"of a link to another's provider":   {known, "of-the-shared", "kv", "platform", "unauthorized"},
		"in the name of who links to it":    {known, "of-the-shared", "kv", "shop", "unauthorized"},
		"in the name of another":            {known, "of-the-provider", "db", "platform", "unauthorized"},
		"of another signer":                 {known, "of-the-provider", "db of another signer", "shop", "unauthorized"},
		"with a token that has expired":     {known, "of-the-provider", "db that has expired", "shop", "it has expired"},
		"in the name of no application":     {known, "of-the-provider", "db", "", "unauthorized"},
		"below the prefix of another group": {"wasmcloud.secrets.team-a.others", "of-the-provider", "db", "shop", "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(tc.topic, tc.field, tc.entity, tc.application)
			switch {
			case tc.says == "" && (err != nil || got != tc.field+secretCanary):
				t.Errorf("not given: %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error = %v, want %q", err, tc.says)
			}
		})
	}
}
