package wasmhost

import "errors"

var (
	errFileDenied      = errors.New("file references are not allowed on this host; start it with --allow-file-load")
	errTooMany         = errors.New("this host runs as many components as it may")
	errNoSecrets       = errors.New("secret store not configured, could not fetch secrets")
	errUnsigned        = errors.New("entity did not have an embedded JWT, required to fetch secrets (was this entity signed during build?)")
	errNotRunning      = errors.New("the component does not run on this host")
	errProviderUnknown = errors.New("trellis-host runs no provider binaries; only the HTTP server is built in")
	errProviderRunning = errors.New("provider is already running with that ID")
	errFeature         = errors.New("this host does not have that builtin provider")
	errShutdownTimeout = errors.New("host shutdown timed out")
	errBusy            = errors.New("all instances of the component are busy")
)
