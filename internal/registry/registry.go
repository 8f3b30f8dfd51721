// Package registry runs an OCI registry inside the process, on loopback, for `trellis dev`. It is go-containerregistry's
// own handler; what that keeps in memory only, the manifests, is written to files beside its blobs, so that what was
// pushed survives a restart.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

const readHeaderTimeout = 10 * time.Second

// Server is a running registry.
type Server struct {
	http *http.Server
	addr string
	done chan error
}

// Start serves the registry of a folder, which is made if it is missing, on a loopback address.
func Start(ctx context.Context, address, dir string) (*Server, error) {
	handler, err := open(dir)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the registry: %w; choose another port", err)
	}
	if ip := listener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("the registry has no authentication and must listen on loopback, not on %s", ip), listener.Close())
	}
	s := &Server{
		http: &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout},
		addr: listener.Addr().String(),
		done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(listener) }()
	return s, nil
}

// Address is host and port of the registry, as it stands in image references.
func (s *Server) Address() string { return s.addr }

// Shutdown ends the registry after the requests under way, or without waiting for them any longer when ctx ends. A client
// that opened a connection and never used it is no reason to wait.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// open returns the handler of a folder, with every manifest that was pushed before.
func open(dir string) (http.Handler, error) {
	blobs, manifests := filepath.Join(dir, "blobs"), filepath.Join(dir, "manifests")
	for _, folder := range []string{blobs, manifests} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of the registry: %w", err)
		}
	}
	inner := registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
		registry.Logger(log.New(io.Discard, "", 0)), // errors reach the client as HTTP statuses
	)
	h := &recorder{next: inner, dir: manifests}
	if err := h.replay(); err != nil {
		return nil, err
	}
	return h, nil
}
