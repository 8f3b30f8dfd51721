package natskeys

import (
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// userCredentials makes a user of an account and returns its credentials file. The user may do everything within the
// account.
func userCredentials(name, account string, signing nkeys.KeyPair) ([]byte, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(public(user))
	claims.Name = name
	claims.IssuerAccount = account
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

// credentialsFit says whether a credentials file logs in to the account by this signing key.
func credentialsFit(creds []byte, account string, signing nkeys.KeyPair) bool {
	claims := userClaims(creds)
	if claims == nil || claims.IssuerAccount != account || claims.Issuer != public(signing) {
		return false
	}
	user, err := jwt.ParseDecoratedUserNKey(creds)
	if err != nil || public(user) != claims.Subject {
		return false
	}
	return claims.Expires == 0 || time.Unix(claims.Expires, 0).After(time.Now())
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
