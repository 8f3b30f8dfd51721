package wasmhost

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/ociwasm"
)

const fileScheme = "file://"

// fetcher gets the code of components.
type fetcher struct {
	allowFiles bool
	maxBytes   int64
	options    ociwasm.Options

	mu          sync.Mutex
	credentials lattice.RegistryCredentials
}

func newFetcher(c Config) *fetcher {
	f := &fetcher{allowFiles: c.AllowFileLoad, maxBytes: c.MaxComponentSize, options: c.Registries, credentials: lattice.RegistryCredentials{}}
	f.add(c.RegistryCredentials)
	f.options.Credentials = f.credential
	return f
}

func (f *fetcher) add(credentials lattice.RegistryCredentials) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for registry, c := range credentials {
		f.credentials[registry] = c
	}
}

// credential knows only user and password: a token alone counts as nobody, as in upstream's host.
func (f *fetcher) credential(registry string) (user, password string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.credentials[registry]
	return c.Username, c.Password, ok && c.Username != "" && c.Password != ""
}

func (f *fetcher) get(ctx context.Context, ref string) ([]byte, error) {
	path, isFile := strings.CutPrefix(ref, fileScheme)
	if !isFile {
		return ociwasm.Pull(ctx, ref, f.options)
	}
	if !f.allowFiles {
		return nil, errFileDenied
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > f.maxBytes {
		return nil, fmt.Errorf("%w: %s has %d bytes of %d", ociwasm.ErrTooLarge, path, info.Size(), f.maxBytes)
	}
	return os.ReadFile(path)
}
