package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
)

// BoundNamespace is the one namespace whose applications have a lattice; those of all others have none, so that nobody but
// the measurement writes them.
const BoundNamespace = "bench-bound"

// Lattice is that of BoundNamespace.
const Lattice = "bench"

// Namespace of the operator.
const Namespace = "trellis-system"

const configuration = `
apiVersion: trellis.k8s.wasmcloud.dev/v1alpha1
nats: {address: "nats://127.0.0.1", clientPort: %d}
lattices: [{name: %s}]
bindings: [{lattice: %s, namespaces: [%s]}]
wash: {lattices: []}
hosts: {helperImage: "ghcr.io/trellis-operator/trellis:0.1.0"}
api: {port: %d}
`

// Trellis is a `trellis serve`.
type Trellis struct {
	// Config reaches it directly, with the rights that Kube.Config has.
	Config *rest.Config
	Port   int32

	program, dir string
	kube         *Kube
	p            *process
}

// NewTrellis prepares `trellis serve`; program is the binary.
func NewTrellis(program, dir string, kube *Kube, broker *NATS) (*Trellis, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	t := &Trellis{program: program, dir: dir, kube: kube, Port: int32(ports[0])}
	t.Config = rest.CopyConfig(kube.Config)
	t.Config.Host = loopbackURL("https", ports[0])
	// Its certificate is made for the Service; who is on the other side of this loopback is no question here.
	t.Config.CAData, t.Config.Insecure = nil, true
	text := fmt.Sprintf(configuration, broker.port, Lattice, Lattice, BoundNamespace, ports[0])
	if err := os.WriteFile(t.file("trellis.yaml"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration of trellis: %w", err)
	}
	return t, nil
}

func (t *Trellis) file(name string) string { return filepath.Join(t.dir, name) }

// Start starts it and waits until it is ready.
func (t *Trellis) Start(ctx context.Context) (err error) {
	t.p, err = start("trellis serve", t.file("trellis.log"), t.program, "serve", "--config="+t.file("trellis.yaml"),
		"--kubeconfig="+t.kube.Kubeconfig, "--namespace="+Namespace, "--identity=bench", "--service=trellis")
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(t.Config)
	if err != nil {
		return fmt.Errorf("make a client of trellis: %w", err)
	}
	defer client.CloseIdleConnections()
	return t.p.await(ctx, answers(client, t.Config.Host+"/readyz"))
}

// Stop ends it.
func (t *Trellis) Stop() { t.p.stop() }

// Memory is its resident memory in bytes, Peak the highest that it ever had.
func (t *Trellis) Memory() int64 { return Usage{t.p.cmd.Process.Pid}.Memory() }

// Peak is the highest resident memory.
func (t *Trellis) Peak() int64 { return Usage{t.p.cmd.Process.Pid}.Peak() }
