package cli

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

// Why a host group that asks for a secret is not believed. Events and the audit show it.
const (
	doubtForeign = "its lattice has no account in the NATS that came with this release"
	doubtKey     = "the signing key of its lattice is of an earlier release, which gave hosts all rights: replace it"
	doubtServer  = "NATS server %q leaves the rights of leaves to the leaves: 2.12.7 or later holds them"
)

// doubt says, whenever it is asked, why NATS may let others ask for secrets in the name of a host group of the lattice: the
// NATS is not ours, the key that it let us in by may have signed wide credentials, or the server holds nobody to his rights.
// Empty: only the group itself can.
//
// Of a cluster this sees the server that we are connected to.
func (n *natsConnector) doubt(lattice string, conn *nats.Conn, login *ownLogin) func() string {
	return func() string {
		if !n.config.Managed || n.config.CredentialsDir == "" {
			return doubtForeign
		}
		if !natskeys.Narrow(n.config.CredentialsDir, lattice, login.signer()) {
			return doubtKey
		}
		if version := conn.ConnectedServerVersion(); !natskeys.Enforces(version) {
			return fmt.Sprintf(doubtServer, version)
		}
		return ""
	}
}

// ownLogin is what the operator logs in with to the account of a lattice. It is read for each attempt to connect, and the key
// that signed what was shown last is kept: a server that let that in knows the key. The file may have a newer one since,
// of which the server knows nothing before it reads its accounts anew; until then it takes what the older one signed.
type ownLogin struct {
	file string
	by   atomic.Pointer[string]
}

func (l *ownLogin) read() (natsconn.Secrets, error) {
	creds, err := os.ReadFile(l.file)
	if err != nil {
		return natsconn.Secrets{}, fmt.Errorf("read what the operator logs in with to NATS: %w", err)
	}
	by := natskeys.Signer(creds)
	if by == "" {
		return natsconn.Secrets{}, fmt.Errorf("%s holds no credentials that can be read: restore the Secret, or run `trellis init` again", l.file)
	}
	l.by.Store(&by)
	return natsconn.Secrets{Creds: creds}, nil
}

func (l *ownLogin) signer() string {
	if by := l.by.Load(); by != nil {
		return *by
	}
	return ""
}
