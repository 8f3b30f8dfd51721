package natskeys

import (
	"os"
	"path/filepath"
	"strings"
)

// Narrow says whether a signing key of a lattice never gave a host group more than HostPermissions. The file in the operator's
// credentials folder that says so is written with a key that is made, and never for one that exists: earlier releases signed
// all rights of the lattice, and such credentials work as long as their key does. It is read at every call.
func Narrow(dir, lattice, signer string) bool {
	name, err := LatticeAccount(lattice)
	if err != nil || signer == "" {
		return false
	}
	narrow, err := os.ReadFile(filepath.Join(dir, name+narrowSuffix))
	return err == nil && strings.TrimSpace(string(narrow)) == signer
}
