package controlplane

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/trellis-operator/trellis/examples/hello"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/registry"
)

func (p *Plane) startNATS(context.Context) error {
	server, err := natsd.Start(natsd.Options{Port: natsPort, StoreDir: filepath.Join(p.options.Dir, "nats"), Domain: "default", ServerName: "peers", SyncAlways: true})
	if err != nil {
		return err
	}
	p.NATS = server.ClientURL()
	p.stops = append(p.stops, func() error { server.Shutdown(); return nil })
	return nil
}

// startRegistry starts the registry with the component of the example in it.
func (p *Plane) startRegistry(ctx context.Context) error {
	server, err := registry.Start(ctx, registryAddress, filepath.Join(p.options.Dir, "registry"))
	if err != nil {
		return err
	}
	p.stops = append(p.stops, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return server.Shutdown(ctx)
	})
	return p.Push(ctx, hello.Image, hello.Component)
}

// Push puts a component into the registry; its name begins as that of the example does.
func (p *Plane) Push(ctx context.Context, image string, code []byte) error {
	instead, err := ociwasm.ParseMirrors(mirrors)
	if err != nil {
		return err
	}
	_, err = ociwasm.PushBytes(ctx, image, code, ociwasm.Options{Mirrors: instead})
	return err
}

// Host starts a trellis-host with labels; it ends with the plane.
func (p *Plane) Host(name string, labels map[string]string) error {
	env := []string{
		"WASMCLOUD_LATTICE=" + Lattice, "WASMCLOUD_NATS_HOST=127.0.0.1", fmt.Sprintf("WASMCLOUD_NATS_PORT=%d", natsPort),
		"WASMCLOUD_JS_DOMAIN=default", "WASMCLOUD_OCI_ALLOWED_INSECURE=" + registryAddress, "TRELLIS_OCI_MIRRORS=" + mirrors,
		"TRELLIS_CACHE_DIR=" + filepath.Join(p.options.Dir, "compiled"),
	}
	for key, value := range labels {
		env = append(env, "WASMCLOUD_LABEL_"+key+"="+value)
	}
	return p.run("host-"+name, filepath.Join(p.options.Bin, "trellis-host"), env)
}
