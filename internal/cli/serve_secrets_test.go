package cli

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// secretCanary is the value of all Secrets.
const secretCanary = "opensesame"

// signedComponent is the fixture with a token.
func signedComponent(t *testing.T, expires time.Time) []byte {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "components", "secret.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	account, module := sign.Seeds("secret")
	signed, err := sign.Component(code, sign.Options{Account: account, Module: module, Name: "secret", IssuedAt: time.Unix(1, 0), Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

type noKeeper struct{}

func (noKeeper) Secret(context.Context, secrets.Question) (secrets.Secret, error) {
	return secrets.Secret{}, nil
}

// serveSecrets runs a service in lattice default of a new NATS server, as the supervisor does. That NATS does not hold host
// groups for the doubt that is given.
func serveSecrets(t *testing.T, s *secretService, doubt string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(natsd.Run(t, natsd.Options{StoreDir: t.TempDir()}).ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s.config = config.Secrets{Enabled: true, Backend: "kube", Prefix: "wasmcloud.secrets"}
	s.ready = newSecretReadiness(func(string) bool { return true })
	s.replicas = func(string) int { return 1 }
	if s.metrics, err = secretMetrics(); err != nil {
		t.Fatal(err)
	}
	begin, err := s.prepare("default", &latticeLink{conn: conn, doubt: func() string { return doubt }})
	if err != nil {
		t.Fatal(err)
	}
	running := newParts()
	begin(t.Context(), running)
	t.Cleanup(func() {
		if err := running.stop(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "secrets are served", func() error { return s.checks()[0].Check(&http.Request{}) })
	if !s.ready.of["default"].once {
		t.Fatal("readiness says so before they are")
	}
	return conn
}

// announced is what a ring tells hosts.
func announced(t *testing.T, ring *secrets.Keyring) string {
	t.Helper()
	conn := serveSecrets(t, &secretService{keyring: ring, keeper: noKeeper{}, auditor: auditors{}}, "")
	reply, err := conn.Request("wasmcloud.secrets.v1alpha1.kube.server_xkey", nil, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply.Data)
}

// TestSecretService_Off: without secrets nothing of the wiring does anything.
func TestSecretService_Off(t *testing.T) {
	var off *secretService
	begin, err := off.prepare("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	running := newParts()
	begin(t.Context(), running)
	if off.backend() != "" || off.checks() != nil || off.topic() != nil || len(running.running) > 0 {
		t.Error("something of it is there")
	}
}

func TestSecretService_Topic(t *testing.T) {
	on := &secretService{config: config.Secrets{Prefix: "a.b"}}
	if got := on.topic()("team-a", "hosts.eu"); got != "a.b.team-a.hosts_eu" {
		t.Errorf("hosts ask below %s", got)
	}
}

const secretShop = `
policies:
  - {name: own, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, namespace: team-a}}
components:
  - name: api
    type: component
    properties:
      image: example.com/api:1
      secrets: [{name: password, properties: {policy: own, key: app, field: password}}]
    traits: [{type: spreadscaler, properties: {instances: 1}}]
`

type deployedApp struct{ app *grants.Application }

func (d deployedApp) Deployed(context.Context, string, string) (*grants.Application, error) {
	return d.app, nil
}

type noReviews struct{}

func (noReviews) Create(context.Context, *authorizationv1.SubjectAccessReview, metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error) {
	return &authorizationv1.SubjectAccessReview{}, nil
}

func fakeReader(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fakeclient.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func hostGroupPod(uid string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "hosts-1", UID: "uid-1", Labels: map[string]string{v1alpha1.InstanceLabel: uid}}}
}

func hostGroupIn(lattice string) *v1alpha1.WasmCloudHostConfig {
	return &v1alpha1.WasmCloudHostConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "hosts"}, Spec: v1alpha1.WasmCloudHostConfigSpec{Lattice: lattice}}
}

var podLabelsOfHost = map[string]string{
	v1alpha1.HostLabelPodName: "hosts-1", v1alpha1.HostLabelPodUID: "uid-1", v1alpha1.HostLabelNamespace: "team-a",
}

// TestSecretService: a host of a host group asks over NATS, and the real keeper decides on what the adapters show it.
func TestSecretService(t *testing.T) {
	node, err := nkeys.CreateServer()
	if err != nil {
		t.Fatal(err)
	}
	hostID, err := node.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	code := signedComponent(t, time.Time{})
	signed, err := token.Read(code, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	hostJWT, err := token.ForHost(hostID, "host", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var spec oam.ApplicationSpec
	if err := yaml.UnmarshalStrict([]byte(secretShop), &spec); err != nil {
		t.Fatal(err)
	}
	grant := &v1alpha1.SecretGrant{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "g"}, Spec: v1alpha1.SecretGrantSpec{
		From:    []v1alpha1.SecretGrantFrom{{Namespaces: []string{"team-a"}, Lattices: []string{"*"}, Applications: []string{"shop"}, Components: []string{"api"}}},
		Secrets: []v1alpha1.GrantedSecret{{Name: "app"}}, Unauthenticated: true,
	}}
	for name, tc := range map[string]struct {
		doubt   string
		granted bool
		topic   string
		says    string // empty: the value is given
		event   string // empty: none
	}{
		"a group that could be anybody":  {doubtKey, false, "wasmcloud.secrets.team-a.hosts", "unauthorized", doubtKey},
		"nobody knows who":               {"", false, "wasmcloud.secrets", "unauthorized", "is unknown"},
		"another group":                  {"", false, "wasmcloud.secrets.team-a.others", "unauthorized", `none of group "others"`},
		"granted to whoever asks":        {doubtKey, true, "wasmcloud.secrets.team-a.hosts", "", ""},
		"granted to whoever asks, plain": {doubtForeign, true, "wasmcloud.secrets", "", ""},
		"the group, where NATS holds it": {"", false, "wasmcloud.secrets.team-a.hosts", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{hostGroupPod("hosts"), hostGroupIn("default")}
			if tc.granted {
				objects = append(objects, grant)
			}
			reader := fakeReader(t, objects...)
			host := census.Host{ID: hostID, Inventory: lattice.Inventory{Labels: podLabelsOfHost}}
			kube := fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}, Data: map[string][]byte{"password": []byte(secretCanary)}})
			keeper, err := grants.New(grants.Options{
				Applications: deployedApp{&grants.Application{Namespace: "team-a", Name: "shop", Spec: &spec, Reviewed: "kube"}},
				Hosts:        secretHosts{func(string) ([]census.Host, error) { return []census.Host{host}, nil }, reader},
				Images:       newSecretImages(gives(code), noLogins),
				Reader:       secretReader{kube.CoreV1()}, Reviewer: grants.NewReviews(noReviews{}, clock.RealClock{}), Lister: grantLister{reader},
			})
			if err != nil {
				t.Fatal(err)
			}
			told := &toldEvents{}
			ring, err := ringOf(keySecret(map[string]string{"current": firstSeed}))
			if err != nil {
				t.Fatal(err)
			}
			conn := serveSecrets(t, &secretService{
				keyring: ring, keeper: keeper,
				auditor: auditors{secrets.NewLogAuditor(logr.Discard()), newEventAuditor(told.find, told)},
			}, tc.doubt)
			ref := secret.Reference{Name: "password", Backend: "kube", Key: "app", Field: new("password"),
				Policy: `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"namespace":"team-a"}}`}
			got, err := secret.NewClient(conn, tc.topic, 5*time.Second).Get(t.Context(), ref, secret.Identity{EntityJWT: signed.JWT, HostJWT: hostJWT, Application: new("shop")})
			switch {
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error = %v, want %q", err, tc.says)
			case tc.says == "" && (err != nil || !cmp.Equal(got.Reveal(), any(secretCanary))):
				t.Errorf("not given: %v", err)
			}
			notes := strings.Join(told.all(), "\n")
			if (notes == "") != (tc.event == "") || !strings.Contains(notes, tc.event) || strings.Contains(notes, secretCanary) {
				t.Errorf("events: %q, want one that says %q and no value", notes, tc.event)
			}
		})
	}
}
