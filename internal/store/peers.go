package store

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	announceEvery = 2 * time.Second
	// goneAfter is the silence after which a replica counts as dead.
	goneAfter = 10 * time.Second
)

// sighting is what a replica says of itself, over plain NATS.
type sighting struct {
	ID       string `json:"id"`
	Position uint64 `json:"position"`
	Purged   uint64 `json:"purged,omitempty"` // the last compact record whose garbage it has removed
}

// peers knows the live replicas and how far each has read, for the one that purges.
type peers struct {
	conn    *nats.Conn
	subject string
	id      string
	now     func() time.Time

	mu     sync.Mutex
	seen   map[string]peer
	purged uint64
	news   chan struct{} // closed at the next sighting; nil while nobody waits
}

type peer struct {
	position uint64
	at       time.Time
}

func newPeers(cfg Config) *peers {
	return &peers{
		conn: cfg.Conn, subject: "trellis.store." + cfg.Stream + ".replicas", id: nuid.Next(), now: time.Now,
		seen: map[string]peer{},
	}
}

// announce tells the other replicas how far this one is, every two seconds and after each compaction, and listens to
// them.
func (s *Store) announce(ctx context.Context) {
	sub, err := s.cfg.Conn.Subscribe(s.peers.subject, func(msg *nats.Msg) {
		var said sighting
		if json.Unmarshal(msg.Data, &said) != nil || said.ID == s.peers.id {
			return
		}
		s.peers.saw(said)
		s.index.purged(said.Purged)
	})
	if err != nil {
		return // the connection was closed before the store was; nothing will be purged
	}
	defer func() { _ = sub.Unsubscribe() }()
	ticker := time.NewTicker(announceEvery)
	defer ticker.Stop()
	for {
		position, _ := s.index.where()
		s.peers.say(position)
		select {
		case <-ticker.C:
		case <-s.index.compactions:
		case <-ctx.Done():
			return
		}
	}
}

// say publishes the own sighting. Without a connection nobody hears it, which is right.
func (p *peers) say(position uint64) {
	p.mu.Lock()
	said := sighting{ID: p.id, Position: position, Purged: p.purged}
	p.mu.Unlock()
	if body, err := json.Marshal(said); err == nil {
		_ = p.conn.Publish(p.subject, body)
	}
}

func (p *peers) saw(said sighting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[said.ID] = peer{position: said.Position, at: p.now()}
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// wait returns when every live replica has read a revision, and at the latest after limit.
func (p *peers) wait(ctx context.Context, revision uint64, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		news := p.behind(revision)
		if news == nil {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

// behind returns nil when no live replica is behind a revision, else a channel that is closed at the next sighting.
func (p *peers) behind(revision uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, other := range p.seen {
		if p.now().Sub(other.at) > goneAfter {
			delete(p.seen, id)
			continue
		}
		if other.position < revision {
			if p.news == nil {
				p.news = make(chan struct{})
			}
			return p.news
		}
	}
	return nil
}

func (p *peers) done(record uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purged = max(p.purged, record)
}
