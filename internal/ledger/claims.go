package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Owner is an application that holds a claim.
type Owner struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// UID of the object. An application that was deleted and made again is the same owner with another UID.
	UID string `json:"uid"`
}

// Same says whether two owners are the same application, whatever their UIDs.
func (o Owner) Same(other Owner) bool {
	return o.Cluster == other.Cluster && o.Namespace == other.Namespace && o.Name == other.Name
}

// Claim is a name of the lattice and who holds it.
type Claim struct {
	// Kind is what the name is for, and Name the name; both are the key.
	Kind string `json:"-"`
	Name string `json:"-"`
	Owner
	Format int `json:"format"`
	// Revision and Since say when the claim was written last. Every Claim of its owner writes it anew.
	Revision uint64    `json:"-"`
	Since    time.Time `json:"-"`
}

// ClaimedError says that another application holds a name.
type ClaimedError struct {
	Kind, Name string
	Owner      Owner
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s %q is held by application %s/%s of cluster %s", e.Kind, e.Name, e.Owner.Namespace, e.Owner.Name, e.Owner.Cluster)
}

const (
	claimTries = 20
	claimPause = 50 * time.Millisecond
)

var errContended = errors.New("the claim keeps changing")

// ErrClaimChanged says that a claim was written since it was read.
var ErrClaimChanged = errors.New("the claim was written since it was read")

// Claim gives a name to an owner, who may hold it already; the UID on record becomes the owner's. A claim that was held is
// written all the same: whoever is about to free it, because nobody needed it until now, notices. The error is a
// *ClaimedError when another application holds the name, and anything else means that the answer could not be had.
func (l *Ledger) Claim(ctx context.Context, kind, name string, owner Owner) error {
	k := key(claimSpace, kind, name)
	value := Claim{Owner: owner, Format: FormatVersion}
	for range claimTries {
		var held Claim
		revision, ok, err := l.read(ctx, k, &held)
		switch {
		case err != nil:
			return err
		case !ok:
			err = l.create(ctx, k, value)
		case !held.Same(owner):
			return &ClaimedError{Kind: kind, Name: name, Owner: held.Owner}
		default:
			err = l.replace(ctx, k, value, revision)
		}
		if !lost(err) {
			return err
		}
		// Somebody was faster; what was read may also come from a server that is behind.
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("claim %s %q: %w", kind, name, errContended)
}

// Free removes a claim as Claims has returned it. One that is gone already is no error; one that was written since stays,
// and the error is ErrClaimChanged.
func (l *Ledger) Free(ctx context.Context, claim Claim) error {
	k := key(claimSpace, claim.Kind, claim.Name)
	err := l.remove(ctx, k, claim.Revision)
	if !lost(err) {
		return err
	}
	var held Claim
	if _, ok, err := l.read(ctx, k, &held); err != nil || !ok {
		return err
	}
	return ErrClaimChanged
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(claimPause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Holder returns the claim on a name, nil when it is free.
func (l *Ledger) Holder(ctx context.Context, kind, name string) (*Claim, error) {
	held := Claim{Kind: kind, Name: name}
	revision, ok, err := l.read(ctx, key(claimSpace, kind, name), &held)
	if err != nil || !ok {
		return nil, err
	}
	held.Revision = revision
	return &held, nil
}

// Claims returns all claims of a cluster, for the collector of those that nobody needs any more. A claim that can't be
// read is left out, and stays for a release that can read it.
func (l *Ledger) Claims(ctx context.Context, cluster string) ([]Claim, error) {
	var out []Claim
	err := l.each(ctx, claimSpace+".>", func(entry jetstream.KeyValueEntry) error {
		parts, err := parseKey(claimSpace, entry.Key(), 2)
		if err != nil {
			return nil // not ours
		}
		c := Claim{Kind: parts[0], Name: parts[1], Revision: entry.Revision(), Since: entry.Created()}
		if err := decode(entry, &c); err == nil && c.Format <= FormatVersion && c.Cluster == cluster {
			out = append(out, c)
		}
		return nil
	})
	return out, err
}

// each calls a function for every value that exists under a pattern.
func (l *Ledger) each(ctx context.Context, pattern string, visit func(jetstream.KeyValueEntry) error) error {
	watcher, err := l.kv.Watch(ctx, pattern, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("list %s of the ledger: %w", pattern, err)
	}
	defer func() { _ = watcher.Stop() }() // fails only when the connection is closed
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("list %s of the ledger: %w", pattern, ctx.Err())
		case entry, open := <-watcher.Updates():
			if !open {
				return fmt.Errorf("list %s of the ledger: the watch ended", pattern)
			}
			if entry == nil {
				return nil
			}
			if err := visit(entry); err != nil {
				return err
			}
		}
	}
}
