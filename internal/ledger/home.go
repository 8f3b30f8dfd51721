package ledger

import (
	"context"
	"errors"
)

// Home is where wash creates applications of a cluster in this lattice.
type Home struct {
	Namespace string `json:"namespace"`
	// UID of the namespace: one that was deleted and made again is not the home any more.
	UID    string `json:"uid,omitempty"`
	Format int    `json:"format"`
	// Revision is for SetHome; 0 when no home was ever recorded.
	Revision uint64 `json:"-"`
}

// Home returns the home namespace of a cluster; a zero Home when none is recorded.
func (l *Ledger) Home(ctx context.Context, cluster string) (Home, error) {
	var h Home
	revision, ok, err := l.read(ctx, key(homeSpace, cluster), &h)
	if err != nil || !ok {
		return Home{}, err
	}
	h.Revision = revision
	return h, nil
}

// ErrHomeChanged says that another replica has recorded a home since it was read.
var ErrHomeChanged = errors.New("the home namespace was changed by another replica")

// SetHome records the home namespace of a cluster if it is still as it was when h.Revision was read.
func (l *Ledger) SetHome(ctx context.Context, cluster string, h Home) error {
	h.Format = FormatVersion
	k := key(homeSpace, cluster)
	var err error
	if h.Revision == 0 {
		err = l.create(ctx, k, h)
	} else {
		err = l.replace(ctx, k, h, h.Revision)
	}
	if lost(err) {
		return ErrHomeChanged
	}
	return err
}
