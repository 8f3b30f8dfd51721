package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const roundTrips = 5000

// measureNATS compares a request that goes to the hub directly with one that goes through a leaf, as those of hosts do.
func measureNATS(ctx context.Context, dir string) ([]row, error) {
	hub, err := startServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, StoreDir: filepath.Join(dir, "hub"),
		LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT},
	})
	if err != nil {
		return nil, err
	}
	defer hub.Shutdown()
	varz, err := hub.Varz(nil)
	if err != nil {
		return nil, fmt.Errorf("ask the hub for its leaf port: %w", err)
	}
	remote := &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port)}
	leaf, err := startServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, StoreDir: filepath.Join(dir, "leaf"),
		LeafNode: server.LeafNodeOpts{Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}},
	})
	if err != nil {
		return nil, err
	}
	defer leaf.Shutdown()
	responder, err := nats.Connect(hub.ClientURL())
	if err != nil {
		return nil, err
	}
	defer responder.Close()
	if _, err := responder.Subscribe("bench.echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		return nil, err
	}
	direct, err := roundTrip(ctx, hub.ClientURL())
	if err != nil {
		return nil, err
	}
	through, err := roundTrip(ctx, leaf.ClientURL())
	if err != nil {
		return nil, err
	}
	return []row{
		{Name: "NATS round trip through a leaf, p50", Value: micro(through.p50), Unit: "us", Peer: "directly to the hub", PeerValue: micro(direct.p50)},
		{Name: "NATS round trip through a leaf, p99", Value: micro(through.p99), Unit: "us", Peer: "directly to the hub", PeerValue: micro(direct.p99)},
	}, nil
}

func startServer(o *server.Options) (*server.Server, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("configure a NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, fmt.Errorf("a NATS server did not start within 10 s")
	}
	return s, nil
}

func roundTrip(ctx context.Context, at string) (quantiles, error) {
	conn, err := nats.Connect(at)
	if err != nil {
		return quantiles{}, err
	}
	defer conn.Close()
	payload := make([]byte, 256)
	// The interest of the responder reaches a leaf a moment after its connection.
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err = conn.Request("bench.echo", payload, time.Second); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return quantiles{}, fmt.Errorf("no answer through %s: %w", at, err)
		}
	}
	took := make([]time.Duration, 0, roundTrips)
	for range roundTrips {
		if ctx.Err() != nil {
			return quantiles{}, ctx.Err()
		}
		began := time.Now()
		if _, err := conn.Request("bench.echo", payload, 5*time.Second); err != nil {
			return quantiles{}, err
		}
		took = append(took, time.Since(began))
	}
	return quantilesOf(took), nil
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func milli(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
