package rig

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Dev is a `trellis dev` on a NATS server of its own, without a host and without Kubernetes.
type Dev struct {
	// Config reaches its API; set after Start.
	Config *rest.Config

	program, dir, nats string
	port               int
	p                  *process
}

// NewDev prepares `trellis dev`; program is the binary.
func NewDev(program, dir, nats string) (*Dev, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	return &Dev{program: program, dir: dir, nats: nats, port: ports[0]}, nil
}

// Start starts it and waits until it is ready. After Stop or Kill it starts again with the state it had.
func (d *Dev) Start(ctx context.Context) (err error) {
	state := filepath.Join(d.dir, "state")
	d.p, err = start("trellis dev", filepath.Join(d.dir, "trellis.log"), d.program, "dev", "--no-host", "--nats="+d.nats,
		"--state-dir="+state, "--api-port="+strconv.Itoa(d.port), "--registry-port=0")
	if err != nil {
		return err
	}
	return d.p.await(ctx, func(ctx context.Context) error {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(state, "kubeconfig"))
		if err != nil {
			return err
		}
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return err
		}
		defer client.CloseIdleConnections()
		d.Config = config
		return answers(client, config.Host+"/readyz")(ctx)
	})
}

// Stop ends it in good order.
func (d *Dev) Stop() { d.p.stop() }

// Kill ends it at once.
func (d *Dev) Kill() {
	_ = d.p.cmd.Process.Kill() // it may have ended already
	<-d.p.ended
}

// Usage is what it uses.
func (d *Dev) Usage() Usage { return Usage{d.p.cmd.Process.Pid} }

// Memory is its resident memory in bytes.
func (d *Dev) Memory() int64 { return d.Usage().Memory() }

// Peak is the highest resident memory since it started.
func (d *Dev) Peak() int64 { return d.Usage().Peak() }

// CPU is the processor time that it has used since it started.
func (d *Dev) CPU() (time.Duration, error) { return d.Usage().CPU() }
