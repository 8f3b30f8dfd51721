package grants_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// canary is the value of every Secret; it must be in no error.
const canary = "opensesame-canary"

const (
	apiImage   = "example.com/api@sha256:1111"
	dbImage    = "example.com/db:1"
	plainImage = "example.com/unsigned:1"
	hostID     = "NHOST"
)

// shop references a Secret of its own namespace (app), one in its name of a ServiceAccount (account), and one of another
// namespace (pg), for a component; and one for the provider of a link (link).
const shop = `
policies:
  - {name: own, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube}}
  - {name: account, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, serviceAccount: reader}}
  - {name: vault, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, namespace: vault}}
  - {name: both, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, namespace: vault, serviceAccount: reader}}
  - {name: odd, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, mount_path: x}}
  - {name: bytes, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, encoding: binary}}
  - {name: text, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, encoding: text}}
  - {name: others, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: hashicorp}}
components:
  - name: api
    type: component
    properties:
      image: example.com/api@sha256:1111
      secrets:
        - {name: own, properties: {policy: own, key: app, field: password}}
        - {name: pinned, properties: {policy: own, key: app, field: password, version: "7"}}
        - {name: outdated, properties: {policy: own, key: app, field: password, version: "6"}}
        - {name: nokey, properties: {policy: own, key: app, field: missing}}
        - {name: nofield, properties: {policy: own, key: app}}
        - {name: nosecret, properties: {policy: own, key: missing, field: password}}
        - {name: noname, properties: {policy: own, key: ../app, field: password}}
        - {name: token, properties: {policy: own, key: token, field: token}}
        - {name: closed, properties: {policy: own, key: closed, field: password}}
        - {name: account, properties: {policy: account, key: app, field: password}}
        - {name: vault, properties: {policy: vault, key: pg, field: password}}
        - {name: both, properties: {policy: both, key: pg, field: password}}
        - {name: odd, properties: {policy: odd, key: app, field: password}}
        - {name: bytes, properties: {policy: bytes, key: app, field: password}}
        - {name: text, properties: {policy: text, key: app, field: binary}}
        - {name: binary, properties: {policy: own, key: app, field: binary}}
        - {name: empty, properties: {policy: own, key: app, field: empty}}
        - {name: others, properties: {policy: others, key: others, field: password}}
    traits:
      - {type: spreadscaler, properties: {instances: 2, spread: [{name: eu, requirements: {zone: eu}}]}}
      - type: link
        properties: {namespace: wasmcloud, package: postgres, interfaces: [query], target: {name: db, secrets: [{name: link, properties: {policy: own, key: link, field: password}}]}}
  - name: db
    type: capability
    properties: {image: "example.com/db:1"}
  - name: plain
    type: component
    properties: {image: "example.com/unsigned:1", secrets: [{name: u, properties: {policy: own, key: unsigned, field: password}}]}
    traits: [{type: spreadscaler, properties: {instances: 1}}]
`

// world is a cluster with a lattice, as the keeper sees it.
type world struct {
	apps    map[string]*grants.Application // by lattice/name
	hosts   map[string]*grants.Host        // by group/id
	images  map[string]*secrets.Entity
	stored  map[types.NamespacedName]*corev1.Secret
	rights  map[string]bool // account may get secret
	grants  map[string][]*v1alpha1.SecretGrant
	backend string

	// what fails, by method
	fails map[string]error
	// reads of Secrets
	reads int
	// pulled are those in whose name images were looked at.
	pulled []secrets.Asker
}

var (
	_ grants.Applications = (*world)(nil)
	_ grants.Hosts        = (*world)(nil)
	_ grants.Images       = (*world)(nil)
	_ grants.Reader       = (*world)(nil)
	_ grants.Reviewer     = (*world)(nil)
	_ grants.Lister       = (*world)(nil)
)

func (w *world) Deployed(_ context.Context, lattice, name string) (*grants.Application, error) {
	return w.apps[lattice+"/"+name], w.fails["Deployed"]
}

func (w *world) Host(_ context.Context, asker secrets.Asker, id string) (*grants.Host, error) {
	return w.hosts[asker.Group+"/"+id], w.fails["Host"]
}

func (w *world) Claims(_ context.Context, asker secrets.Asker, image string) (*secrets.Entity, error) {
	w.pulled = append(w.pulled, asker)
	return w.images[image], w.fails["Claims"]
}

func (w *world) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	w.reads++
	if err := w.fails["Secret"]; err != nil {
		return nil, err
	}
	if found := w.stored[types.NamespacedName{Namespace: namespace, Name: name}]; found != nil {
		return found, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
}

func (w *world) MayGet(_ context.Context, account, secret types.NamespacedName) (bool, error) {
	return w.rights[account.String()+" "+secret.String()], w.fails["MayGet"]
}

func (w *world) Grants(_ context.Context, namespace string) ([]*v1alpha1.SecretGrant, error) {
	return w.grants[namespace], w.fails["Grants"]
}

func (w *world) ask(t *testing.T, q secrets.Question) (secrets.Secret, error) {
	t.Helper()
	keeper, err := grants.New(grants.Options{
		Applications: w, Hosts: w, Images: w, Reader: w, Reviewer: w, Lister: w, Backend: w.backend,
	})
	if err != nil {
		t.Fatal(err)
	}
	return keeper.Secret(t.Context(), q)
}

// api and db are what the tokens in the images say.
var (
	api = secrets.Entity{Kind: secrets.Component, Subject: "MAPI", Issuer: "ADEV", Name: "api", Hash: "CE90"}
	db  = secrets.Entity{Kind: secrets.Provider, Subject: "VDB", Issuer: "ADEV", Name: "sqldb"}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	embedded, provider := api, db
	embedded.Name = "another name counts for nothing"
	return &world{
		apps: map[string]*grants.Application{
			"production/shop":  {Namespace: "team-a", Name: "shop", Spec: specOf(t, shop), Reviewed: "kube"},
			"production/other": {Namespace: "team-a", Name: "other", Spec: specOf(t, "components: []"), Reviewed: "kube"},
		},
		hosts: map[string]*grants.Host{
			"edge/" + hostID: {Labels: map[string]string{"zone": "eu"}},
			"edge/NOTHER":    {Labels: map[string]string{"zone": "us"}},
			"edge/NRUNS":     {Running: []string{"shop-api"}},
			"/" + hostID:     {Labels: map[string]string{"zone": "eu"}},
		},
		images: map[string]*secrets.Entity{apiImage: &embedded, dbImage: &provider},
		stored: map[types.NamespacedName]*corev1.Secret{
			{Namespace: "team-a", Name: "app"}:   secret("team-a", "app", nil),
			{Namespace: "team-a", Name: "link"}:  secret("team-a", "link", nil),
			{Namespace: "team-a", Name: "token"}: secret("team-a", "token", func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }),
			{Namespace: "team-a", Name: "closed"}: secret("team-a", "closed", func(s *corev1.Secret) {
				s.Labels = map[string]string{v1alpha1.SecretsKey: v1alpha1.SecretsDeny}
			}),
			{Namespace: "team-a", Name: "others"}: secret("team-a", "others", nil),
			{Namespace: "vault", Name: "pg"}:      secret("vault", "pg", nil),
		},
		rights: map[string]bool{}, grants: map[string][]*v1alpha1.SecretGrant{}, fails: map[string]error{},
	}
}

func specOf(t *testing.T, text string) *oam.ApplicationSpec {
	t.Helper()
	var spec oam.ApplicationSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return &spec
}

func secret(namespace, name string, change func(*corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "7"},
		Data:       map[string][]byte{"password": []byte(canary), "token": []byte(canary), "binary": []byte("\xff" + canary), "empty": {}},
	}
	if change != nil {
		change(s)
	}
	return s
}

// question is the one that a host of group edge asks of component api for a key of the application's own namespace.
func question(key, field string) secrets.Question {
	return secrets.Question{
		Asker:       secrets.Asker{Lattice: "production", Namespace: "hosts", Group: "edge"},
		Application: "shop", Entity: api, HostID: hostID, Key: key, Field: field,
	}
}

// withPolicy is a question with properties of its policy, name and value in turn.
func withPolicy(q secrets.Question, properties ...string) secrets.Question {
	q.Policy.Properties = map[string]string{}
	for i := 0; i < len(properties); i += 2 {
		q.Policy.Properties[properties[i]] = properties[i+1]
	}
	return q
}

func grantOf(spec v1alpha1.SecretGrantSpec) *v1alpha1.SecretGrant {
	return &v1alpha1.SecretGrant{Spec: spec}
}

// shopGrant lets component api of shop have the password of pg.
func shopGrant() v1alpha1.SecretGrantSpec {
	return v1alpha1.SecretGrantSpec{
		From: []v1alpha1.SecretGrantFrom{{
			Namespaces: []string{"team-a"}, Lattices: []string{"production"}, Applications: []string{"shop"}, Components: []string{"api"},
		}},
		Secrets: []v1alpha1.GrantedSecret{{Name: "pg", Keys: []string{"password"}}},
	}
}
