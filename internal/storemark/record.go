// Package storemark keeps, outside of NATS, which store was served and how far: the one thing that tells a store that
// lost its data, or another one in its place, from the one that everybody knows. docs/spec/store.md has the rules.
package storemark

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Mark names a state of a store: the identity of its stream, and the highest revision. Without an identity there is none.
type Mark struct {
	Identity string
	Revision uint64
}

// String is the mark for people.
func (m Mark) String() string {
	if m.Identity == "" {
		return "no store"
	}
	return fmt.Sprintf("store %s up to revision %d", m.Identity, m.Revision)
}

// Record is what is kept.
type Record struct {
	// Served is the store that is the truth, and the highest revision that any replica served from it.
	Served Mark
	// Generation grows with every store that was accepted.
	Generation uint64
	// Problem says why nothing is served; empty while all is well.
	Problem string
	// Found is the store that was there then.
	Found Mark
}

const formatVersion = "1"

// Keys of the record.
const (
	keyFormat        = "format"
	keyIdentity      = "identity"
	keyRevision      = "revision"
	keyGeneration    = "generation"
	keyProblem       = "problem"
	keyFoundIdentity = "foundIdentity"
	keyFoundRevision = "foundRevision"
)

// Data is the record as text, for a ConfigMap or a file.
func (r Record) Data() map[string]string {
	data := map[string]string{
		keyFormat: formatVersion, keyIdentity: r.Served.Identity, keyRevision: number(r.Served.Revision), keyGeneration: number(r.Generation),
	}
	if r.Problem != "" {
		data[keyProblem], data[keyFoundIdentity], data[keyFoundRevision] = r.Problem, r.Found.Identity, number(r.Found.Revision)
	}
	return data
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// Parse reads what Data wrote. A record of a later release is an error: guessing might take a lost store for a new one.
func Parse(data map[string]string) (Record, error) {
	if format := data[keyFormat]; format != formatVersion {
		return Record{}, fmt.Errorf("%s is %q, this release reads %s", keyFormat, format, formatVersion)
	}
	r := Record{Served: Mark{Identity: data[keyIdentity]}, Problem: data[keyProblem], Found: Mark{Identity: data[keyFoundIdentity]}}
	for key, into := range map[string]*uint64{
		keyRevision: &r.Served.Revision, keyGeneration: &r.Generation, keyFoundRevision: &r.Found.Revision,
	} {
		text, ok := data[key]
		if !ok && key == keyFoundRevision {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return Record{}, fmt.Errorf("%s is %q, which is no number", key, text)
		}
		*into = n
	}
	return r, nil
}

var (
	// ErrNone says that nothing is kept.
	ErrNone = errors.New("no mark of a store is kept")
	// ErrConflict says that somebody else wrote first; read again.
	ErrConflict = errors.New("somebody else changed the mark of the store")
)

// Shelf is where the record is kept, for all replicas of one installation.
type Shelf interface {
	// Load returns the record and its version; ErrNone when there is none.
	Load(ctx context.Context) (Record, string, error)
	// Save replaces a version; "" makes the first. ErrConflict: it is not the present one.
	Save(ctx context.Context, r Record, version string) error
}

// Accept takes the store that was found as the truth, and returns the record before and after. It is no error when
// nothing is wrong: then both are the same.
func Accept(ctx context.Context, shelf Shelf) (before, after Record, err error) {
	const tries = 10
	for range tries {
		var version string
		if before, version, err = shelf.Load(ctx); err != nil {
			return Record{}, Record{}, err
		}
		if before.Problem == "" {
			return before, before, nil
		}
		after = Record{Served: before.Found, Generation: before.Generation + 1}
		if after.Served.Identity == "" {
			after.Served.Revision = before.Served.Revision // they were used: the next store begins above them
		}
		if err = shelf.Save(ctx, after, version); !errors.Is(err, ErrConflict) {
			return before, after, err
		}
	}
	return Record{}, Record{}, err
}
