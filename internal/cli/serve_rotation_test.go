package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/orchestrator"
	"github.com/trellis-operator/trellis/internal/rotation"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// revealingEngine runs components that answer with the secret that the path names. It counts how often code is loaded.
type revealingEngine struct{ loads atomic.Int32 }

func (e *revealingEngine) Load(context.Context, []byte) (wasmhost.Component, error) {
	e.loads.Add(1)
	return e, nil
}

func (e *revealingEngine) Close() {}

func (e *revealingEngine) Serve(w http.ResponseWriter, r *http.Request, call wasmhost.Call) {
	defer call.Done(nil)
	value, _ := call.Secret(strings.TrimPrefix(r.URL.Path, "/"))
	_, _ = fmt.Fprint(w, value)
}

// storedSecret is the Secret of the tests and a cluster that has it, of which versions are told as Kubernetes does.
type storedSecret struct {
	kube *fake.Clientset

	mu      sync.Mutex
	version int
}

func newStoredSecret(t *testing.T) *storedSecret {
	s := &storedSecret{kube: fake.NewClientset()}
	s.put(t, secretCanary+"-one", func(ctx context.Context, o *corev1.Secret) error {
		_, err := s.kube.CoreV1().Secrets(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
		return err
	})
	return s
}

func (s *storedSecret) set(t *testing.T, value string) {
	s.put(t, value, func(ctx context.Context, o *corev1.Secret) error {
		_, err := s.kube.CoreV1().Secrets(o.Namespace).Update(ctx, o, metav1.UpdateOptions{})
		return err
	})
}

func (s *storedSecret) put(t *testing.T, value string, write func(context.Context, *corev1.Secret) error) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	o := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app", ResourceVersion: fmt.Sprint(s.version)}, Data: map[string][]byte{"password": []byte(value)},
	}
	if err := write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// Version is that of rotation.Versions.
func (s *storedSecret) Version(context.Context, types.NamespacedName, string) (rotation.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rotation.Version{ResourceVersion: fmt.Sprint(s.version), Changed: time.Now()}, nil
}

// toldApplication is application shop, and what is told of its secrets.
type toldApplication struct {
	wanted []rotation.Wanted

	mu   sync.Mutex
	told []oam.SecretStatus
}

func (a *toldApplication) Live(context.Context) ([]rotation.Application, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return []rotation.Application{{Namespace: "team-a", Name: "shop", Wanted: a.wanted, Told: a.told}}, nil
}

func (a *toldApplication) Report(_ context.Context, _ rotation.Application, told []oam.SecretStatus) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = told
	return nil
}

// says is an error unless the one secret stands so, in the version.
func (a *toldApplication) says(state oam.SecretState, version string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.told) == 1 && a.told[0].State == state && len(a.told[0].Hosts) == 1 && a.told[0].Hosts[0].Version == version {
		return nil
	}
	return fmt.Errorf("told: %+v", a.told)
}

// shopGrantOf lets the component of shop have the Secret.
func shopGrantOf() *v1alpha1.SecretGrant {
	return &v1alpha1.SecretGrant{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "g"}, Spec: v1alpha1.SecretGrantSpec{
		From:    []v1alpha1.SecretGrantFrom{{Namespaces: []string{"team-a"}, Lattices: []string{"*"}, Applications: []string{"shop"}, Components: []string{"api"}}},
		Secrets: []v1alpha1.GrantedSecret{{Name: "app"}}, Unauthenticated: true,
	}}
}

// rotatedLattice is a NATS server with a host that runs shop, the backend of secrets, and a rotation.
type rotatedLattice struct {
	t       *testing.T
	conn    *nats.Conn
	client  *control.Client
	host    string
	engine  *revealingEngine
	secret  *storedSecret
	app     *toldApplication
	parts   *parts
	counted *census.Census
	// starts are the events that a component was started or scaled.
	starts atomic.Int32
	url    string
}

func (l *rotatedLattice) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func newRotatedLattice(t *testing.T) *rotatedLattice {
	t.Helper()
	l := &rotatedLattice{t: t, engine: &revealingEngine{}, secret: newStoredSecret(t), parts: newParts()}
	server := natsd.Run(t, natsd.Options{StoreDir: t.TempDir()})
	var err error
	l.conn, err = nats.Connect(server.ClientURL())
	l.must(err)
	t.Cleanup(l.conn.Close)
	t.Cleanup(func() {
		if err := l.parts.stop(); err != nil {
			t.Error(err)
		}
	})
	l.client, err = control.New(l.conn, "default", control.Options{Window: 200 * time.Millisecond})
	l.must(err)
	l.counted = census.New(l.client, census.Options{})
	l.parts.start(t.Context(), "census", l.counted.Run)
	l.startHost(server.ClientURL())
	l.serve()
	l.run()
	return l
}

func (l *rotatedLattice) startHost(url string) {
	node := natsconn.Config{URLs: []string{url}}
	host, err := wasmhost.New(wasmhost.Config{
		Control: node, RPC: node, AllowFileLoad: true, Engine: l.engine, SecretsTopic: "wasmcloud.secrets.team-a.hosts", Labels: podLabelsOfHost, Log: logr.Discard(),
	})
	l.must(err)
	l.host = host.ID()
	l.parts.start(l.t.Context(), "host", host.Run)
	eventually(l.t, "the host is there", func() error {
		hosts, err := l.counted.Hosts()
		if err == nil && len(hosts) == 0 {
			err = errors.New("no hosts")
		}
		return err
	})
}

// serve runs the backend and the rotation, wired as `trellis serve` does.
func (l *rotatedLattice) serve() {
	var spec oam.ApplicationSpec
	l.must(yaml.UnmarshalStrict([]byte(secretShop), &spec))
	code := signedComponent(l.t, time.Time{})
	reader := fakeReader(l.t, hostGroupPod("hosts"), hostGroupIn("default"), shopGrantOf())
	outcomes, err := secrets.NewOutcomes(l.conn, "", 1, "cluster")
	l.must(err)
	l.parts.start(l.t.Context(), "outcomes", outcomes.Run)
	keeper, err := grants.New(grants.Options{
		Applications: deployedApp{&grants.Application{Namespace: "team-a", Name: "shop", Spec: &spec}},
		Hosts:        secretHosts{func(string) ([]census.Host, error) { return l.counted.Hosts() }, reader},
		Images:       newSecretImages(gives(code), noLogins),
		Reader:       secretReader{l.secret.kube.CoreV1()}, Reviewer: grants.NewReviews(noReviews{}, clock.RealClock{}), Lister: grantLister{reader},
		Recorder: outcomes,
	})
	l.must(err)
	ring, err := ringOf(keySecret(map[string]string{"current": firstSeed}))
	l.must(err)
	s := &secretService{
		config: config.Secrets{Enabled: true, Backend: "kube", Prefix: "wasmcloud.secrets"}, keyring: ring, ready: newSecretReadiness(func(string) bool { return true }),
		keeper: keeper, auditor: auditors{}, replicas: func(string) int { return 1 },
	}
	s.metrics, err = secretMetrics()
	l.must(err)
	begin, err := s.prepare("default", &latticeLink{conn: l.conn})
	l.must(err)
	begin(l.t.Context(), l.parts)
	eventually(l.t, "secrets are served", func() error { return s.checks()[0].Check(&http.Request{}) })
	l.app = &toldApplication{wanted: wantedSecrets(&oam.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}}, &spec, "kube")}
	r, err := rotation.New(rotation.Options{
		Lattice: "default", Applications: l.app, Hosts: rotatedHosts{l.counted}, Versions: l.secret, Outcomes: outcomes,
		Courier: courier{l.client, &orchestrator.Orchestrator{}}, Leading: func() bool { return true }, Every: time.Second,
	})
	l.must(err)
	l.parts.start(l.t.Context(), "rotation", r.Run)
}

// run has the host run the component behind its HTTP server.
func (l *rotatedLattice) run() {
	ctx := l.t.Context()
	_, err := l.client.Events(ctx, func(e lattice.Event) {
		if e.Kind() == lattice.KindComponentScaled {
			l.starts.Add(1)
		}
	}, nil)
	l.must(err)
	file := filepath.Join(l.t.TempDir(), "secret.wasm")
	l.must(os.WriteFile(file, signedComponent(l.t, time.Time{}), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	l.must(err)
	address := listener.Addr().String()
	l.must(listener.Close())
	l.url = "http://" + address + "/password"
	l.must(l.client.PutConfig(ctx, "address", lattice.Config{"address": address}))
	l.must(l.client.PutConfig(ctx, "SECRET_shop-password", lattice.Config{"name": "password", "type": "secret.wasmcloud.dev/v1alpha1", "backend": "kube",
		"key": "app", "field": "password", "policy": `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"namespace":"team-a"}}`}))
	l.must(l.client.PutLink(ctx, lattice.Link{SourceID: "web", Target: "shop-api", Name: "default", WitNamespace: "wasi", WitPackage: "http",
		Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"address"}}))
	l.must(l.client.StartProvider(ctx, lattice.StartProvider{ProviderID: "web", ProviderRef: lattice.BuiltinHTTPServer, HostID: l.host}))
	_, err = l.client.ScaleComponent(ctx, lattice.ScaleComponent{ComponentID: "shop-api", ComponentRef: "file://" + file, Count: 2, HostID: l.host,
		Config: []string{"SECRET_shop-password"}, Annotations: map[string]string{lattice.AnnotationAppSpec: "shop"}})
	l.must(err)
}

func (l *rotatedLattice) answers(want string) error {
	response, err := http.Get(l.url)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != want {
		err = errors.New("another answer") // which may be a value
	}
	return err
}

// notesHoldNothing looks for a value in what was noted and told.
func (l *rotatedLattice) notesHoldNothing() {
	l.t.Helper()
	js, err := jetstream.New(l.conn)
	l.must(err)
	kv, err := js.KeyValue(l.t.Context(), secrets.OutcomesBucket)
	l.must(err)
	keys, err := kv.Keys(l.t.Context())
	l.must(err)
	if len(keys) == 0 {
		l.t.Error("nothing was noted; that it holds no value proves nothing")
	}
	said := fmt.Sprint(keys, l.app.told)
	for _, key := range keys {
		entry, err := kv.Get(l.t.Context(), key)
		l.must(err)
		said += string(entry.Value())
	}
	if strings.Contains(said, secretCanary) {
		l.t.Error("a value was noted or told")
	}
}

// TestRotation: a value that changes in Kubernetes comes to the running component by the real backend and the real host, and
// nothing is loaded or started for it.
func TestRotation(t *testing.T) {
	l := newRotatedLattice(t)
	eventually(t, "the component has the value", func() error { return l.answers(secretCanary + "-one") })
	eventually(t, "the status says so", func() error { return l.app.says(oam.SecretResolved, "1") })
	loads, starts := l.engine.loads.Load(), l.starts.Load()
	l.secret.set(t, secretCanary+"-two")
	eventually(t, "the component has the new value", func() error { return l.answers(secretCanary + "-two") })
	eventually(t, "the status says so", func() error { return l.app.says(oam.SecretResolved, "2") })
	if l.engine.loads.Load() != loads || l.starts.Load() != starts || loads != 1 {
		t.Errorf("loaded %d times and scaled %d times; before the change %d and %d", l.engine.loads.Load(), l.starts.Load(), loads, starts)
	}
	l.notesHoldNothing()
}
