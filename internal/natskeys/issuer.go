package natskeys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Issuer makes credentials for the leaves of host groups, from the operator's credentials folder. The files are read at
// every call: the Secret behind them changes when a lattice is added.
type Issuer struct {
	dir   string
	names Names
}

// NewIssuer returns an issuer that reads the folder where the Secret SecretOperator is mounted.
func NewIssuer(dir string, names Names) *Issuer { return &Issuer{dir: dir, names: names} }

// Issue returns the content of a credentials file for the leaves of a group, with the rights of HostPermissions. The error
// is ErrNoKey if the lattice has no key, and a *SpecError if the spec asks for a right that is not given.
func (i *Issuer) Issue(group *v1alpha1.WasmCloudHostConfig) ([]byte, error) {
	account, signing, err := i.open(group.Spec.Lattice)
	if err != nil {
		return nil, err
	}
	rights, err := i.rights(group)
	if err != nil {
		return nil, err
	}
	return userCredentials("hosts "+group.Namespace+"/"+group.Name, account, signing, rights)
}

// Valid says whether credentials that were issued earlier still log in to the lattice of the group, with the rights that it
// gets now.
func (i *Issuer) Valid(group *v1alpha1.WasmCloudHostConfig, credentials []byte) bool {
	account, signing, err := i.open(group.Spec.Lattice)
	if err != nil {
		return false
	}
	rights, err := i.rights(group)
	return err == nil && credentialsFit(credentials, account, signing, rights)
}

// rights let nobody in but leaves: nothing else has to log in with these credentials.
func (i *Issuer) rights(group *v1alpha1.WasmCloudHostConfig) (rights, error) {
	permissions, err := HostPermissions(group, i.names)
	return rights{permissions: permissions, connections: jwt.StringList{jwt.ConnectionTypeLeafnode}}, err
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
