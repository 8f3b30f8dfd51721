// Package natsd runs a nats-server inside the process: the one of `trellis dev`, and the real one that tests use in
// place of a mock.
package natsd

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// RandomPort lets the system choose a free port.
const RandomPort = server.RANDOM_PORT

const startTimeout = 10 * time.Second

// Options say where the server listens and keeps its data.
type Options struct {
	// Host is the address to listen on. Default: 127.0.0.1.
	Host string
	// Port to listen on; RandomPort for a free one.
	Port int
	// StoreDir is the folder of JetStream's files. Required.
	StoreDir string
	// Domain is JetStream's domain. Default: none.
	Domain string
	// ServerName is shown to clients. Default: generated.
	ServerName string
	// SyncAlways makes JetStream sync each write to disk before it acknowledges it.
	SyncAlways bool
	// MaxFile bounds what JetStream keeps on disk, in bytes. Default: nats-server's, three quarters of the disk.
	MaxFile int64
	// Cluster makes the server one of several. It needs a ServerName. Default: a single server.
	Cluster *Cluster
	// Logger receives the server's messages. Default: none.
	Logger server.Logger
}

// Cluster says how a server finds the others of its cluster.
type Cluster struct {
	// Name of the cluster.
	Name string
	// Port to listen on for the other servers, on the same host as for clients.
	Port int
	// Routes are the URLs of the other servers. No other way to them is used, and clients are told of none of them.
	Routes []string
}

// Server is a running nats-server.
type Server struct {
	inner *server.Server
}

// Start starts a server and returns when it accepts connections.
func Start(o Options) (*Server, error) {
	if o.StoreDir == "" {
		return nil, errors.New("an embedded NATS server needs a folder for its data")
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	options, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("configure the embedded NATS server: %w", err)
	}
	inner, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configure the embedded NATS server: %w", err)
	}
	if o.Logger != nil {
		inner.SetLoggerV2(o.Logger, false, false, false)
	}
	go inner.Start()
	if !inner.ReadyForConnections(startTimeout) {
		inner.Shutdown()
		return nil, fmt.Errorf("the embedded NATS server did not accept connections on %s:%d within %s; is the port in use?",
			o.Host, o.Port, startTimeout)
	}
	return &Server{inner: inner}, nil
}

// complete are the options of nats-server.
func (o Options) complete() (*server.Options, error) {
	out := &server.Options{
		ServerName: o.ServerName, Host: o.Host, Port: o.Port,
		JetStream: true, JetStreamDomain: o.Domain, StoreDir: o.StoreDir, SyncAlways: o.SyncAlways,
		JetStreamMaxStore: o.MaxFile, NoSigs: true, NoLog: o.Logger == nil,
	}
	if o.Cluster == nil {
		return out, nil
	}
	// What servers tell each other of further ones leads nowhere: Routes are all there is.
	out.Cluster = server.ClusterOpts{Name: o.Cluster.Name, Host: o.Host, Port: o.Cluster.Port, NoAdvertise: true, Advertise: nowhere}
	for _, route := range o.Cluster.Routes {
		to, err := url.Parse(route)
		if err != nil {
			return nil, fmt.Errorf("route: %w", err)
		}
		out.Routes = append(out.Routes, to)
	}
	return out, nil
}

// nowhere is an address at which nobody listens.
const nowhere = "127.0.0.1:1"

// ClientURL is the address for clients.
func (s *Server) ClientURL() string { return s.inner.ClientURL() }

// Shutdown ends the server and waits until it is gone.
func (s *Server) Shutdown() {
	s.inner.Shutdown()
	s.inner.WaitForShutdown()
}
