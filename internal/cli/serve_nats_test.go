package cli

import (
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/natsconn"
)

// TestExternalHub connects to the NATS of a host group as its Secret says, by the second of its addresses.
func TestExternalHub(t *testing.T) {
	hub, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		Users: []*server.User{{Username: "u", Password: "p"}}})
	if err != nil {
		t.Fatal(err)
	}
	go hub.Start()
	t.Cleanup(hub.Shutdown)
	if !hub.ReadyForConnections(10 * time.Second) {
		t.Fatal("the hub did not start")
	}
	_, port, err := net.SplitHostPort(hub.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]error{"p": nil, "x": natsconn.ErrRefused} {
		group := &v1alpha1.WasmCloudHostConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "edge"},
			Spec: v1alpha1.WasmCloudHostConfigSpec{Lattice: "edge", Version: "1.9.2", SecretName: "login", NatsClientPort: int32(number),
				JetstreamDomain: "hub", NATS: &v1alpha1.NATS{Addresses: []string{"nats://127.0.0.2", "nats://127.0.0.1"}}}}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "login"},
			Data: map[string][]byte{"username": []byte("u"), "password": []byte(password)}}
		reader := groupsAndSecrets(t, group, secret)
		connector := &natsConnector{groups: reader, secrets: reader, name: "test"}
		link, err := connector.lattice(t.Context(), "edge")
		if err == nil {
			link.conn.Close()
		}
		if !errors.Is(err, want) || err == nil && (link.domain != "hub" || link.groupsDoubt() != doubtForeign) {
			t.Errorf("password %q: %+v, error %v, want %v", password, link, err, want)
		}
	}
}

func groupsAndSecrets(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}
