package rig

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsd"
)

const (
	// natsCommand is the word by which the bench program becomes a nats-server.
	natsCommand = "nats-server"
	domain      = "default"
)

// NATS is a nats-server as its own process, with JetStream that syncs every write.
type NATS struct {
	URL  string
	port int
	dir  string
	p    *process
}

// StartNATS starts the server.
func StartNATS(ctx context.Context, dir string) (*NATS, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	n := &NATS{port: ports[0], dir: dir, URL: fmt.Sprintf("nats://127.0.0.1:%d", ports[0])}
	return n, n.Start(ctx)
}

// Start starts the server again where it was.
func (n *NATS) Start(ctx context.Context) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	n.p, err = start(natsCommand, filepath.Join(n.dir, "nats.log"), self, natsCommand, filepath.Join(n.dir, "nats"), strconv.Itoa(n.port))
	if err != nil {
		return err
	}
	return n.p.await(ctx, func(context.Context) error {
		conn, err := nats.Connect(n.URL)
		if err != nil {
			return err
		}
		conn.Close()
		return nil
	})
}

// Stop ends the server.
func (n *NATS) Stop() { n.p.stop() }

// ServeNATS is the server's process: it returns false at once when the arguments ask for something else.
func ServeNATS(args []string) (bool, error) {
	if len(args) != 3 || args[0] != natsCommand {
		return false, nil
	}
	port, err := strconv.Atoi(args[2])
	if err != nil {
		return true, fmt.Errorf("read the port: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := natsd.Start(natsd.Options{Port: port, StoreDir: args[1], Domain: domain, SyncAlways: true})
	if err != nil {
		return true, err
	}
	<-ctx.Done()
	server.Shutdown()
	return true, nil
}
