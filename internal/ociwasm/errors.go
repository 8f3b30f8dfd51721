package ociwasm

import "errors"

var (
	// ErrReference: the reference cannot be read as one of an OCI artifact.
	ErrReference = errors.New("this is no reference of an OCI artifact")
	// ErrLatest: the tag latest is not allowed.
	ErrLatest = errors.New("the tag latest is not allowed on this host")
	// ErrNotWasm: the artifact is not a WebAssembly component.
	ErrNotWasm = errors.New("the artifact holds no WebAssembly component")
	// ErrTooLarge: the component exceeds the limit.
	ErrTooLarge = errors.New("the component is larger than this host allows")
	// ErrMirrors: the setting of mirrors cannot be read.
	ErrMirrors = errors.New("a mirror is written prefix=host:port/prefix")
)
