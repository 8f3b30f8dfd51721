// Package natskeys makes and uses the keys of the NATS that the chart installs.
//
// That NATS runs in operator mode: an operator key signs one account for the store (TRELLIS), one for NATS itself (SYS)
// and one for each lattice; every account has a signing key with which users are made. So there is no password, no
// anonymous user, and a new user needs neither a change of the server's configuration nor a restart. Users log in with
// credentials files, which every wasmCloud host and leaf understands.
//
// Three Secrets hold all of it; what exists is kept for ever, because an account's key is the name of its data.
package natskeys

import (
	"fmt"
	"regexp"
)

// Accounts that every installation has.
const (
	AccountSystem = "SYS"
	AccountStore  = "TRELLIS"
)

// Names of the Secrets, after the prefix.
const (
	// SecretKeys holds the seeds of operator and accounts; only `trellis init` reads it.
	SecretKeys = "-keys"
	// SecretAccounts holds what the server is told: accounts.conf, no private key.
	SecretAccounts = "-accounts"
	// SecretOperator holds what the operator logs in with, and the signing keys of lattices with what is known of them.
	SecretOperator = "-operator"
)

// AccountsConf is the key of SecretAccounts that nats.conf includes.
const AccountsConf = "accounts.conf"

const (
	operatorSeed = "operator.nk"
	seedSuffix   = ".nk"
	signerSuffix = ".signing.nk"
	jwtSuffix    = ".jwt"
	credsSuffix  = ".creds"
	// narrowSuffix names the file that says which signing key never gave host groups more than HostPermissions. Should a
	// release take rights away from them that let one ask as another, it takes another suffix.
	narrowSuffix = ".narrow"
)

var latticeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// LatticeAccount returns the name of the account of a lattice, which begins the names of its files.
func LatticeAccount(lattice string) (string, error) {
	if !latticeName.MatchString(lattice) {
		return "", fmt.Errorf("the lattice name %q is not one NATS token: use letters, digits, '-' and '_' only", lattice)
	}
	return "lattice." + lattice, nil
}

// CredentialsFile returns the name of the file in the operator's credentials folder that logs in to an account.
func CredentialsFile(account string) string { return account + credsSuffix }
