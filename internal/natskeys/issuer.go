package natskeys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"
	"k8s.io/apimachinery/pkg/types"
)

// Issuer makes credentials for the hosts of host groups, from the operator's credentials folder. The files are read at
// every call: the Secret behind them changes when a lattice is added.
type Issuer struct {
	dir string
}

// NewIssuer returns an issuer that reads the folder where the Secret SecretOperator is mounted.
func NewIssuer(dir string) *Issuer { return &Issuer{dir: dir} }

// Issue returns the content of a credentials file for the hosts of a group. The error is ErrNoKey if the lattice has no
// key.
func (i *Issuer) Issue(lattice string, group types.NamespacedName) ([]byte, error) {
	account, signing, err := i.open(lattice)
	if err != nil {
		return nil, err
	}
	return userCredentials("hosts "+group.String(), account, signing)
}

// Valid says whether credentials that were issued earlier still log in to the lattice.
func (i *Issuer) Valid(lattice string, credentials []byte) bool {
	account, signing, err := i.open(lattice)
	return err == nil && credentialsFit(credentials, account, signing)
}

// open returns the public key of the lattice's account, which the operator's own credentials name, and its signing key.
func (i *Issuer) open(lattice string) (string, nkeys.KeyPair, error) {
	name, err := LatticeAccount(lattice)
	if err != nil {
		return "", nil, err
	}
	seed, err := os.ReadFile(filepath.Join(i.dir, name+seedSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, ErrNoKey
	} else if err != nil {
		return "", nil, fmt.Errorf("reading the key of lattice %s: %w", lattice, err)
	}
	signing, err := nkeys.FromSeed(seed)
	if err != nil {
		return "", nil, fmt.Errorf("the key of lattice %s can't be read: %w", lattice, err)
	}
	creds, err := os.ReadFile(filepath.Join(i.dir, name+credsSuffix))
	if err != nil {
		return "", nil, fmt.Errorf("reading the credentials of lattice %s: %w", lattice, err)
	}
	claims := userClaims(creds)
	if claims == nil {
		return "", nil, fmt.Errorf("the credentials of lattice %s can't be read", lattice)
	}
	return claims.IssuerAccount, signing, nil
}
