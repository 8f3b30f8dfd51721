package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	syncs       = 100
	rawWriters  = 32
	rawDuration = time.Second
	rawStream   = "BENCH_RAW"
)

// machine is what the disk and JetStream can do when nothing else of the run goes on.
type machine struct {
	fsync     float64 // p50 in ms of 4 KiB
	jetStream float64 // durable messages a second of 32 writers
}

// look measures both.
func (b *apiBench) look(ctx context.Context) (err error) {
	if b.state.fsync, err = fsyncTime(b.dir); err != nil {
		return err
	}
	b.state.jetStream, err = rawRate(ctx, b.nats.URL)
	return err
}

func fsyncTime(dir string) (float64, error) {
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer func() { _ = file.Close() }()
	page := make([]byte, objectSize)
	took := make([]time.Duration, 0, syncs)
	for range syncs {
		if _, err := file.Write(page); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		one, err := timed(file.Sync)
		if err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		took = append(took, one)
	}
	return milli(quantilesOf(took).p50), nil
}

// rawRate is how many messages of an object's size 32 writers get acknowledged in a second, each on its own subject.
func rawRate(ctx context.Context, url string) (float64, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	config := jetstream.StreamConfig{Name: rawStream, Subjects: []string{"bench.raw.>"}, MaxMsgsPerSubject: 1}
	if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", err)
	}
	var group sync.WaitGroup
	var done atomic.Int64
	var failure atomic.Pointer[error]
	until := time.Now().Add(rawDuration)
	payload := make([]byte, objectSize)
	for i := range rawWriters {
		group.Go(func() {
			for time.Now().Before(until) {
				if _, err := js.Publish(ctx, fmt.Sprintf("bench.raw.%d", i), payload); err != nil {
					failure.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if err := failure.Load(); err != nil {
		return 0, fmt.Errorf("measure JetStream: %w", *err)
	}
	return float64(done.Load()) / rawDuration.Seconds(), js.DeleteStream(ctx, rawStream)
}
