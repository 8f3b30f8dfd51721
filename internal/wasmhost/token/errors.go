package token

import "errors"

// Why a component is refused. The texts end in the log and in an event.
var (
	ErrForm      = errors.New("the component's token cannot be read; sign the component again")
	ErrIssuer    = errors.New("the issuer of the component's token is no public key; sign the component again")
	ErrSubject   = errors.New("the subject of the component's token must be the key of a module (M...); sign the component again")
	ErrSignature = errors.New("the signature of the component's token is wrong: it was changed after it was signed")
	ErrExpired   = errors.New("the component's token has expired; sign the component again")
	ErrEarly     = errors.New("the component's token is not valid yet")
	ErrNoHash    = errors.New("the component's token holds no hash of its code; sign the component again")
	ErrOtherCode = errors.New("the hash in the component's token is not that of its code: it was changed after it was signed; sign it again")
	ErrNotWasm   = errors.New("the component's file is damaged")
)
