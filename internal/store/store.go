// Package store keeps API objects in one JetStream stream and serves them as k8s.io/apiserver/pkg/storage.Interface.
// The sequence of a message is the resourceVersion of what it holds. docs/spec/store.md describes the layout.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where the store is. Only Conn and Cluster are required.
type Config struct {
	// Conn is the connection to the account of the store, with ReconnectBufSize(-1). Open does not close it.
	Conn *nats.Conn
	// Domain is the JetStream domain. Default: the account's own.
	Domain string
	// Stream is the name of the stream, and the first token of its subjects. Default: DefaultStream.
	Stream string
	// Replicas is the number of servers that hold a copy when the stream is made. Default: 1.
	Replicas int
	// Memory makes a stream that does not survive its server; for tests.
	Memory bool
	// Cluster is the id of the cluster whose objects are served.
	Cluster string
	// Expect is the store that was served last; another one, or one that is behind it, answers ErrStoreChanged until
	// Accept. Default: whatever is found.
	Expect *Mark
	// History is how long superseded versions are kept for watches and pages. Default: 5 minutes.
	History time.Duration
	// HistoryBytes is how much of that history stays in memory; the rest is fetched when it is needed. Default: 8 MiB.
	HistoryBytes int
	// CompactEvery is the time between two compactions; negative for none. Default: 1 minute.
	CompactEvery time.Duration
	// PurgeAfter is how long a compaction waits for replicas that have not seen it. Default: 30 seconds.
	PurgeAfter time.Duration
	// Progress is the time between two progress notes to watches that want them. Default: 5 seconds.
	Progress time.Duration
	// Timeout bounds one request to NATS. Default: 5 seconds.
	Timeout time.Duration
	// WatchReady is called with the context of each watch that has begun; Kubernetes' flow control waits for it
	// (k8s.io/apiserver/pkg/util/flowcontrol.WatchInitialized). Default: nothing.
	WatchReady func(context.Context)
}

// Mark names a state of a store: the identity of its stream, and the highest revision that was served from it.
type Mark struct {
	Identity string
	Revision uint64
}

// Store is one replica's view of the stream. It is safe for concurrent use.
type Store struct {
	cfg    Config
	js     jetstream.JetStream
	api    *api
	link   *link
	index  *index
	leader *leader

	mark    markKeeper
	peers   *peers
	synced  chan struct{} // closed when the index has been read once
	rereads atomic.Uint64 // how often follow was asked to read another stream from its beginning
	reread  atomic.Uint64 // how many of these it has done
	// replicated says that several servers hold the stream: then two may take themselves for its leader for a while.
	replicated atomic.Bool
	doubt      atomic.Bool // asks follow to read the stream again because the index may have a gap
	problem    atomic.Pointer[error]

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open starts reading the stream, and makes it if there is none. It does not wait for NATS: until the stream has been
// read once, requests wait a little and then answer ErrUnavailable; Ready waits. An error means a bad Config.
// Close ends what Open started; the context only carries values.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	js, err := newJetStream(cfg)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Store{
		cfg: cfg, js: js, stop: stop, synced: make(chan struct{}), link: newLink(cfg.Conn),
	}
	s.api = newAPI(cfg, s.link)
	s.index = newIndex(cfg.Cluster)
	s.leader = newLeader(s.api)
	s.peers = newPeers(cfg)
	s.mark.expect(cfg.Expect)
	s.run(ctx, s.link.watch, s.follow, s.reap, s.tick, s.compactor, s.announce)
	return s, nil
}

func (s *Store) run(ctx context.Context, parts ...func(context.Context)) {
	for _, part := range parts {
		s.done.Add(1)
		go func() {
			defer s.done.Done()
			part(ctx)
		}()
	}
}

// Close ends watches and stops reading. The connection stays open.
func (s *Store) Close() {
	s.stop()
	s.done.Wait()
	s.index.close()
}

// Ready waits until the stream has been read once, and says why it can't be when the context ends. It returns
// ErrStoreChanged at once.
func (s *Store) Ready(ctx context.Context) error {
	alarm, err := s.mark.alarm()
	if err != nil {
		return err
	}
	select {
	case <-s.synced:
		return nil
	default:
	}
	select {
	case <-s.synced:
		return s.mark.problem()
	case <-alarm:
		return s.mark.problem()
	case <-ctx.Done():
		return s.notRead(ctx.Err())
	}
}

func (s *Store) notRead(why error) error {
	if err := s.mark.problem(); err != nil {
		return err
	}
	if p := s.problem.Load(); p != nil {
		why = *p
	}
	return unavailable(fmt.Errorf("the stream has not been read yet: %w", why))
}

// usable says whether reads can be answered at all. It waits a little for the first read of the stream.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.synced:
		return s.mark.problem()
	default:
	}
	if !s.link.connected() {
		return s.notRead(nats.ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.Ready(ctx)
}

// head is the beginning of all subjects of the stream that is served.
func (s *Store) head() string { return head(s.cfg.Stream, s.mark.id()) }

// last returns the newest message of a subject from the leader, nil when there is none.
func (s *Store) last(ctx context.Context, tail string) (*storedMessage, error) {
	return s.api.last(ctx, s.head()+tail)
}

func newJetStream(cfg Config) (jetstream.JetStream, error) {
	if cfg.Domain != "" {
		return jetstream.NewWithDomain(cfg.Conn, cfg.Domain)
	}
	return jetstream.New(cfg.Conn)
}

func (c *Config) complete() error {
	if c.Conn == nil {
		return errors.New("it needs a connection to NATS")
	}
	if c.Conn.Opts.ReconnectBufSize >= 0 {
		// The buffer would send a write minutes after the caller was told that it failed.
		return errors.New("its connection must be made with ReconnectBufSize(-1)")
	}
	if err := checkSegment(c.Cluster); err != nil {
		return fmt.Errorf("cluster id: %w", err)
	}
	if c.Stream == "" {
		c.Stream = DefaultStream
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.HistoryBytes == 0 {
		c.HistoryBytes = 8 << 20
	}
	setDefault(&c.History, 5*time.Minute)
	setDefault(&c.CompactEvery, time.Minute)
	setDefault(&c.PurgeAfter, 30*time.Second)
	setDefault(&c.Progress, 5*time.Second)
	setDefault(&c.Timeout, 5*time.Second)
	return nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}
