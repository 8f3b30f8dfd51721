package ociwasm

import "errors"

var (
	// ErrReference: the reference cannot be read as one of an OCI artifact.
	ErrReference = errors.New("this is no reference of an OCI artifact")
	// ErrLatest: the tag latest is not allowed.
	ErrLatest = errors.New("the tag latest is not allowed on this host")
	// ErrNotWasm: the artifact is not a WebAssembly component.
	ErrNotWasm = errors.New("the artifact holds no WebAssembly component")
	// ErrNothing: the artifact is nothing that hosts run.
	ErrNothing = errors.New("the artifact holds neither a WebAssembly component nor the archive of a provider")
	// ErrTooLarge: the artifact exceeds the limit.
	ErrTooLarge = errors.New("the artifact is larger than is allowed here")
	// ErrLogins: a docker configuration cannot be read. It is never repeated.
	ErrLogins = errors.New("this is no docker configuration with logins (auths)")
	// ErrInClear: a login would travel in plain HTTP.
	ErrInClear = errors.New("a login is sent in plain HTTP only to registries that are marked as insecure")
	// ErrRefused: a registry that was given a login did not serve. Its words are never repeated: they may hold the login.
	ErrRefused = errors.New("the registry, or the server of tokens that it names, was given a login and did not serve")
	// ErrMirrors: the setting of mirrors cannot be read.
	ErrMirrors = errors.New("a mirror is written prefix=host:port/prefix")
)
