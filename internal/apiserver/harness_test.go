package apiserver

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/certificates"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/store"
)

var applicationsGVR = schema.GroupVersionResource{Group: v1beta1.GroupName, Version: v1beta1.Version, Resource: applications}
var revisionsGVR = schema.GroupVersionResource{Group: v1beta1.GroupName, Version: v1beta1.Version, Resource: applicationRevisions}

func TestMain(m *testing.M) {
	feature.DefaultFeatureSupportChecker = store.FeatureSupport{}
	os.Exit(m.Run())
}

// world is a server on an embedded NATS, and what it was given.
type world struct {
	t           *testing.T
	nats        *natsd.Server
	store       *store.Store
	server      *Server
	ca          *certificates.Authority
	certificate *Certificate
	address     string
	stop        context.CancelFunc
	ended       chan struct{}
	claims      *memoryClaims
	teardowns   *memoryTeardowns
	bindings    *fixedBindings
}

func start(t *testing.T) *world {
	t.Helper()
	w := prepare(t)
	w.serve(w.byCertificate)
	return w
}

// prepare is everything but the server.
func prepare(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	ca, err := certificates.NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, nats: natsd.Run(t, natsd.Options{}), ca: ca,
		claims: &memoryClaims{held: map[string]Owner{}, versions: map[string]uint64{}}, teardowns: &memoryTeardowns{},
		bindings: &fixedBindings{lattice: "default", changed: make(chan struct{})},
	}
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{w.nats.ClientURL()}, Name: t.Name()})
	if err != nil {
		t.Fatalf("connect to NATS: %v", err)
	}
	t.Cleanup(conn.Close)
	w.store, err = store.Open(t.Context(), store.Config{Conn: conn, Cluster: "test", Memory: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.store.Close)
	return w
}

func (w *world) byCertificate(c *Config) {
	clients, err := dynamiccertificates.NewStaticCAContent("clients", w.ca.Cert)
	if err != nil {
		w.t.Fatal(err)
	}
	c.ClientCA = clients
}

// serve runs a server until the test ends; authenticate completes its configuration.
func (w *world) serve(authenticate func(*Config)) {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.address = listener.Addr().String()
	pair, err := w.ca.Serving([]string{"127.0.0.1"}, time.Now(), time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.certificate, err = NewCertificate(pair.Cert, pair.Key); err != nil {
		w.t.Fatal(err)
	}
	config := Config{
		Store: w.store, Bindings: w.bindings, Claims: w.claims, HeldClaims: w.claims, Teardowns: w.teardowns,
		Listener: listener, Certificate: w.certificate,
	}
	authenticate(&config)
	if w.server, err = New(config); err != nil {
		w.t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.stop = cancel
	ended := make(chan error, 1)
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		ended <- w.server.Run(ctx)
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.eventually("the server is ready", func() error { return w.get("/readyz") })
}

// as returns the configuration of a client with a certificate.
func (w *world) as(user string, groups ...string) *rest.Config {
	w.t.Helper()
	pair, err := w.ca.Client(user, groups, time.Now(), time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return &rest.Config{
		Host: "https://" + w.address, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: w.ca.Cert, CertData: pair.Cert, KeyData: pair.Key},
	}
}

func (w *world) dynamic() dynamic.Interface {
	w.t.Helper()
	return dynamic.NewForConfigOrDie(w.as("alice"))
}

func (w *world) get(path string) error {
	_, err := w.raw(w.as("alice"), path, "")
	return err
}

// wash returns a client as wadm's API uses it: over the loopback, impersonating.
func (w *world) wash(lattice string) dynamic.Interface {
	config := w.server.LoopbackConfig()
	config.Impersonate = rest.ImpersonationConfig{
		UserName: WashUserPrefix + lattice, Groups: []string{WashGroup, "system:authenticated"},
	}
	return dynamic.NewForConfigOrDie(config)
}

// warned is a client whose warnings are collected.
func (w *world) warned() (dynamic.ResourceInterface, *[]string) {
	var warnings []string
	config := w.as("alice")
	config.WarningHandler = collect(func(text string) { warnings = append(warnings, text) })
	return dynamic.NewForConfigOrDie(config).Resource(applicationsGVR).Namespace("team-a"), &warnings
}

type collect func(string)

func (c collect) HandleWarningHeader(_ int, _, text string) { c(text) }

// raw gets a path and returns the body.
func (w *world) raw(config *rest.Config, path, accept string) ([]byte, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, config.Host+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return body, fmt.Errorf("%s: %s", answer.Status, body)
	}
	return body, err
}

func (w *world) eventually(what string, check func() error) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not in time: %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// memoryClaims, memoryTeardowns and fixedBindings stand for internal/ledger and internal/binding.
type memoryClaims struct {
	mu       sync.Mutex
	held     map[string]Owner
	versions map[string]uint64
	writes   uint64
	torn     []types.NamespacedName
	down     error
}

var _ HeldClaims = (*memoryClaims)(nil)

func (m *memoryClaims) Claim(_ context.Context, lattice string, claim Claim, owner Owner) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	key := claimKey(lattice, claim)
	holder, ok := m.held[key]
	if ok && (holder.Namespace != owner.Namespace || holder.Name != owner.Name) {
		return &ClaimedError{Claim: claim, Holder: holder}
	}
	m.writes++
	m.held[key], m.versions[key] = owner, m.writes
	return nil
}

func claimKey(lattice string, claim Claim) string {
	return lattice + "/" + string(claim.Kind) + "/" + claim.Name
}

func (m *memoryClaims) Lattices() []string { return []string{"default", "other"} }

func (m *memoryClaims) HeldClaims(_ context.Context, lattice string) (out []HeldClaim, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, owner := range m.held {
		if in, claim, _ := strings.Cut(key, "/"); in == lattice {
			kind, name, _ := strings.Cut(claim, "/")
			out = append(out, HeldClaim{Claim: Claim{ClaimKind(kind), name}, Owner: owner, Revision: m.versions[key]})
		}
	}
	return out, m.down
}

func (m *memoryClaims) OpenTeardowns(context.Context, string) ([]types.NamespacedName, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.torn), m.down
}

func (m *memoryClaims) FreeClaim(_ context.Context, lattice string, claim HeldClaim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := claimKey(lattice, claim.Claim)
	if m.versions[key] != claim.Revision {
		return ErrClaimChanged
	}
	delete(m.held, key)
	return nil
}

// keys lists what is held, sorted.
func (m *memoryClaims) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.held))
}

type memoryTeardowns struct {
	mu      sync.Mutex
	records []Teardown
}

func (m *memoryTeardowns) PutTeardown(_ context.Context, t Teardown) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, t)
	return nil
}

func (m *memoryTeardowns) all() []Teardown {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Teardown(nil), m.records...)
}

type fixedBindings struct {
	mu      sync.Mutex
	lattice string
	changed chan struct{}
}

func (f *fixedBindings) Resolve(_, named string) Resolution {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.lattice == "":
		return Resolution{Reason: "NoLattice", Message: "Create a WasmCloudHostConfig."}
	case named != "" && named != f.lattice && named != "other":
		return Resolution{Reason: "NotBound", Message: "Not bound."}
	case named != "":
		return Resolution{Lattice: named, Reason: "Bound", Message: "Named."}
	}
	return Resolution{Lattice: f.lattice, Reason: "Bound", Message: "The only one."}
}

func (f *fixedBindings) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fixedBindings) set(lattice string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lattice = lattice
	close(f.changed)
	f.changed = make(chan struct{})
}

func hello(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "core.oam.dev/v1beta1", "kind": "Application",
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{"components": []any{
			map[string]any{
				"name": "http-component", "type": "component",
				"properties": map[string]any{"image": "ghcr.io/acme/hello:0.1.0"},
				"traits": []any{map[string]any{
					"type": "spreadscaler", "properties": map[string]any{"instances": int64(1)},
				}},
			},
			map[string]any{
				"name": "httpserver", "type": "capability",
				"properties": map[string]any{"image": "ghcr.io/wasmcloud/http-server:0.23.0"},
				"traits": []any{map[string]any{
					"type": "link", "properties": map[string]any{
						"target": "http-component", "namespace": "wasi", "package": "http",
						"interfaces": []any{"incoming-handler"},
						"source_config": []any{map[string]any{
							"name": "default-http", "properties": map[string]any{"address": "127.0.0.1:8080"},
						}},
					},
				}},
			},
		}},
	}}
}
