package natskeys

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Files is the content of a Secret.
type Files map[string][]byte

// System is the content of the three Secrets.
type System struct {
	Keys, Accounts, Operator Files
}

// Complete adds whatever is missing for the lattices and says what it made. What exists is kept as it is, lattices that
// are no longer named included: their data would be out of reach.
func (s *System) Complete(lattices []string) (made []string, err error) {
	s.ensureMaps()
	if len(s.Accounts) > 0 && len(s.Keys[operatorSeed]) == 0 {
		return nil, ErrKeysLost
	}
	accounts := []string{AccountSystem, AccountStore}
	for _, lattice := range lattices {
		account, err := LatticeAccount(lattice)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	operator, fresh, err := keyPair(s.Keys, operatorSeed, nkeys.CreateOperator)
	if err != nil {
		return nil, err
	}
	if fresh {
		made = append(made, "operator")
	}
	for _, account := range accounts {
		fresh, err := s.account(account, operator)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account, err)
		}
		if fresh {
			made = append(made, account)
		}
	}
	return made, s.writeConf(operator)
}

func (s *System) ensureMaps() {
	for _, files := range []*Files{&s.Keys, &s.Accounts, &s.Operator} {
		if *files == nil {
			*files = Files{}
		}
	}
}

// account completes one account: its key, its signing key, its JWT, and a user. What the operator needs goes into its
// Secret: users of the store and of lattices, and the signing keys of lattices, with which it makes users for hosts.
func (s *System) account(name string, operator nkeys.KeyPair) (fresh bool, err error) {
	account, fresh, err := keyPair(s.Keys, name+seedSuffix, nkeys.CreateAccount)
	if err != nil {
		return false, err
	}
	signers, signerFile, users := s.Operator, name+seedSuffix, s.Operator
	switch name {
	case AccountSystem:
		signers, signerFile, users = s.Keys, name+signerSuffix, s.Keys
	case AccountStore:
		signers, signerFile = s.Keys, name+signerSuffix
	}
	signing, made, err := keyPair(signers, signerFile, nkeys.CreateAccount)
	if err != nil {
		return false, err
	}
	if made && signerFile == name+seedSuffix {
		signers[name+narrowSuffix] = []byte(public(signing))
	}
	if !s.jwtFits(name, operator, account, signing) {
		token, err := accountJWT(name, operator, account, signing)
		if err != nil {
			return false, err
		}
		s.Accounts[name+jwtSuffix] = []byte(token)
		fresh = true
	}
	if credentialsFit(users[name+credsSuffix], public(account), signing, rights{}) {
		return fresh, nil
	}
	creds, err := userCredentials("trellis", public(account), signing, rights{})
	if err != nil {
		return false, err
	}
	users[name+credsSuffix] = creds
	return true, nil
}

// jwtFits says whether the account's JWT is signed by this operator and names this signing key.
func (s *System) jwtFits(name string, operator, account, signing nkeys.KeyPair) bool {
	claims, err := jwt.DecodeAccountClaims(string(s.Accounts[name+jwtSuffix]))
	if err != nil {
		return false
	}
	return claims.Issuer == public(operator) && claims.Subject == public(account) && claims.SigningKeys.Contains(public(signing))
}

func accountJWT(name string, operator, account, signing nkeys.KeyPair) (string, error) {
	claims := jwt.NewAccountClaims(public(account))
	claims.Name = name
	claims.SigningKeys.Add(public(signing))
	if name != AccountSystem { // the system account may not use JetStream
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
			MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	}
	return claims.Encode(operator)
}

// writeConf writes what the server includes. It is written anew only if an account changed, so its order is fixed.
func (s *System) writeConf(operator nkeys.KeyPair) error {
	claims := jwt.NewOperatorClaims(public(operator))
	claims.Name = "trellis"
	token, err := s.operatorJWT(operator, claims)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by trellis init; holds no private key.\noperator: %s\n", token)
	var preload []string
	for _, file := range slices.Sorted(maps.Keys(s.Accounts)) {
		name, isJWT := strings.CutSuffix(file, jwtSuffix)
		if !isJWT || name == "operator" {
			continue
		}
		account, err := jwt.DecodeAccountClaims(string(s.Accounts[file]))
		if err != nil {
			return fmt.Errorf("the JWT of account %s can't be read: %w", name, err)
		}
		if name == AccountSystem {
			fmt.Fprintf(&b, "system_account: %s\n", account.Subject)
		}
		preload = append(preload, fmt.Sprintf("  # %s\n  %s: %s\n", name, account.Subject, s.Accounts[file]))
	}
	fmt.Fprintf(&b, "resolver: MEMORY\nresolver_preload: {\n%s}\n", strings.Join(preload, ""))
	s.Accounts[AccountsConf] = []byte(b.String())
	return nil
}

func (s *System) operatorJWT(operator nkeys.KeyPair, claims *jwt.OperatorClaims) (string, error) {
	const file = "operator" + jwtSuffix
	if old, err := jwt.DecodeOperatorClaims(string(s.Accounts[file])); err == nil && old.Subject == public(operator) {
		return string(s.Accounts[file]), nil
	}
	token, err := claims.Encode(operator)
	if err != nil {
		return "", err
	}
	s.Accounts[file] = []byte(token)
	return token, nil
}

// keyPair reads the seed in that file, or makes one.
func keyPair(files Files, name string, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, fresh bool, err error) {
	if seed := files[name]; len(seed) > 0 {
		if pair, err = nkeys.FromSeed(seed); err != nil {
			return nil, false, fmt.Errorf("%s is not a key: %w", name, err)
		}
		return pair, false, nil
	}
	if pair, err = create(); err != nil {
		return nil, false, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, false, err
	}
	files[name] = seed
	return pair, true, nil
}

// public returns the public key; of a pair made from a seed it always exists.
func public(pair nkeys.KeyPair) string {
	key, err := pair.PublicKey()
	if err != nil {
		return ""
	}
	return key
}
