package ociwasm

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Options say how registries are reached.
type Options struct {
	// Mirrors redirect references.
	Mirrors Mirrors
	// Insecure lists registries, host or host:port, that are spoken to in plain HTTP. Loopback ones always are.
	Insecure []string
	// Credentials returns user and password for a registry; nil means nobody anywhere.
	Credentials func(registry string) (user, password string, ok bool)
	// Transport defaults to go-containerregistry's. It carries additional certificate authorities.
	Transport http.RoundTripper
	// AllowLatest accepts the tag latest, also by leaving the tag out.
	AllowLatest bool
	// MaxBytes bounds what Pull reads; zero means no bound.
	MaxBytes int64
}

// resolve finds the place that a reference means. Repositories are lower case; hosts lower what they are given.
func (o Options) resolve(ref string) (name.Reference, error) {
	for _, scheme := range []string{"oci://", "https://", "http://"} {
		ref = strings.TrimPrefix(ref, scheme)
	}
	place := o.Mirrors.Apply(strings.ToLower(ref))
	parsed, err := name.ParseReference(place)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	if slices.Contains(o.Insecure, parsed.Context().RegistryStr()) {
		if parsed, err = name.ParseReference(place, name.Insecure); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReference, err)
		}
	}
	if tag, ok := parsed.(name.Tag); ok && tag.TagStr() == "latest" && !o.AllowLatest {
		return nil, fmt.Errorf("%w: %s", ErrLatest, ref)
	}
	return parsed, nil
}

func (o Options) authenticator(registry string) authn.Authenticator {
	if o.Credentials != nil {
		if user, password, ok := o.Credentials(registry); ok {
			return &authn.Basic{Username: user, Password: password}
		}
	}
	return authn.Anonymous
}
