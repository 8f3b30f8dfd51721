package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Teardown says what an application that was deleted, undeployed or moved has left in the lattice. It is written before
// the application goes, and removed when every host has confirmed.
type Teardown struct {
	// Cluster and ID are the key. The ID is the same for every attempt at one deletion; a ULID, or the UID of the
	// application with its generation.
	Cluster string `json:"-"`
	ID      string `json:"-"`
	// Lattice repeats whose bucket this is, so that a copied bucket stops nothing elsewhere.
	Lattice string `json:"lattice"`
	// Namespace, Application and UID name the object.
	Namespace   string `json:"namespace"`
	Application string `json:"application"`
	UID         string `json:"uid,omitempty"`
	// Version is the one that was current.
	Version string `json:"version,omitempty"`
	// Components and Providers are ids in the lattice.
	Components []string `json:"components,omitempty"`
	Providers  []string `json:"providers,omitempty"`
	// Links to delete.
	Links []Link `json:"links,omitempty"`
	// Configs are names of configurations in the lattice, secret references among them.
	Configs []string `json:"configs,omitempty"`
	// Hosts that ran the application when the record was written: what is not there to confirm is waited for.
	Hosts []string `json:"hosts,omitempty"`
	// Pods are the uids of the pods of those hosts, by host, where known.
	Pods   map[string]string `json:"pods,omitempty"`
	Format int               `json:"format"`
	// Created is when the record was written, by the server's clock.
	Created time.Time `json:"-"`
}

// Link identifies a link of the lattice.
type Link struct {
	Source    string `json:"source"`
	Target    string `json:"target,omitempty"`
	Name      string `json:"name"`
	Namespace string `json:"witNamespace"`
	Package   string `json:"witPackage"`
}

// ErrForeignTeardown says that a record is for another lattice than the ledger's.
var ErrForeignTeardown = errors.New("the teardown record is for another lattice")

// PutTeardown writes a record and returns when it is durable. One with the same cluster and ID is replaced.
func (l *Ledger) PutTeardown(ctx context.Context, t Teardown) error {
	if t.Lattice != l.lattice {
		return fmt.Errorf("put teardown %s of lattice %q into %s: %w", t.ID, t.Lattice, Bucket(l.lattice), ErrForeignTeardown)
	}
	t.Format = FormatVersion
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode teardown %s: %w", t.ID, err)
	}
	if _, err := l.kv.Put(ctx, key(teardownSpace, t.Cluster, t.ID), body); err != nil {
		return fmt.Errorf("put teardown %s: %w", t.ID, err)
	}
	return nil
}

// ListTeardowns returns the records of a cluster.
func (l *Ledger) ListTeardowns(ctx context.Context, cluster string) ([]Teardown, error) {
	var out []Teardown
	err := l.each(ctx, key(teardownSpace, cluster)+".*", func(entry jetstream.KeyValueEntry) error {
		t, err := l.teardown(entry)
		if errors.Is(err, errKey) || errors.Is(err, ErrForeignTeardown) {
			return nil
		}
		out = append(out, t)
		return err
	})
	return out, err
}

func (l *Ledger) teardown(entry jetstream.KeyValueEntry) (Teardown, error) {
	parts, err := parseKey(teardownSpace, entry.Key(), 2)
	if err != nil {
		return Teardown{}, err
	}
	t := Teardown{Cluster: parts[0], ID: parts[1], Created: entry.Created()}
	if entry.Operation() != jetstream.KeyValuePut {
		return t, nil
	}
	if err := decode(entry, &t); err != nil {
		return t, err
	}
	if t.Lattice != l.lattice {
		return t, fmt.Errorf("%s: %w", entry.Key(), ErrForeignTeardown)
	}
	return t, nil
}

// RemoveTeardown deletes a record whose work is done. One that is not there is no error.
func (l *Ledger) RemoveTeardown(ctx context.Context, cluster, id string) error {
	return l.remove(ctx, key(teardownSpace, cluster, id), 0)
}
