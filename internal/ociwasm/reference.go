package ociwasm

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Options say how registries are reached.
type Options struct {
	// Mirrors redirect references.
	Mirrors Mirrors
	// Insecure lists registries, host or host:port, that are spoken to in plain HTTP. Loopback ones always are.
	Insecure []string
	// Credentials returns user and password for a registry, which is called by its host and, if it has one, port; nil means
	// nobody anywhere. They are sent to that registry and to the server of tokens that it names, and to nobody that these
	// redirect to; in plain HTTP only to those of Insecure.
	Credentials func(registry string) (user, password string, ok bool)
	// Transport defaults to go-containerregistry's. It carries additional certificate authorities.
	Transport http.RoundTripper
	// AllowLatest accepts the tag latest, also by leaving the tag out.
	AllowLatest bool
	// MaxBytes bounds what Pull reads; zero means no bound.
	MaxBytes int64
}

// Registry returns the registry that a reference is fetched from, as Credentials is asked for it.
func (o Options) Registry(ref string) (string, error) {
	place, err := o.resolve(ref)
	if err != nil {
		return "", err
	}
	return place.Context().RegistryStr(), nil
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
