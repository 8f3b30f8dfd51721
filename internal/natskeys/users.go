package natskeys

import (
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// rights are what a user may do within its account. The zero value is everything.
type rights struct {
	permissions jwt.Permissions
	// connections are the kinds of connections that it may log in with; none means any.
	connections jwt.StringList
}

// userCredentials makes a user of an account and returns its credentials file.
func userCredentials(name, account string, signing nkeys.KeyPair, may rights) ([]byte, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(public(user))
	claims.Name = name
	claims.IssuerAccount = account
	claims.Permissions, claims.AllowedConnectionTypes = may.permissions, may.connections
	token, err := claims.Encode(signing)
	if err != nil {
		return nil, fmt.Errorf("signing the user %s: %w", name, err)
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(token, seed)
}

// credentialsFit says whether a credentials file logs in to the account by this signing key, with these rights and no others.
func credentialsFit(creds []byte, account string, signing nkeys.KeyPair, may rights) bool {
	claims := userClaims(creds)
	if claims == nil || claims.IssuerAccount != account || claims.Issuer != public(signing) {
		return false
	}
	if !reflect.DeepEqual(may, rights{claims.Permissions, claims.AllowedConnectionTypes}) {
		return false
	}
	user, err := jwt.ParseDecoratedUserNKey(creds)
	if err != nil || public(user) != claims.Subject {
		return false
	}
	return claims.Expires == 0 || time.Unix(claims.Expires, 0).After(time.Now())
}

// Signer is the public key that credentials are signed with; empty if they can't be read.
func Signer(creds []byte) string {
	claims := userClaims(creds)
	if claims == nil {
		return ""
	}
	return claims.Issuer
}

func userClaims(creds []byte) *jwt.UserClaims {
	if len(creds) == 0 {
		return nil
	}
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		return nil
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil
	}
	return claims
}
