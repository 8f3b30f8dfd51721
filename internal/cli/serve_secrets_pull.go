package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/ociwasm"
)

const (
	// maxImage is what hosts accept of a component unless they are told otherwise.
	maxImage = 50 << 20
	// maxArchive is for a provider with programs for many kinds of machines. It is never held in memory.
	maxArchive = 512 << 20
)

// imagePlace is an image and the login with which it is fetched; without a registry in it, it is none.
type imagePlace struct {
	image string
	login ociwasm.Login
}

// pinned says whether a reference names a digest, and so the same bytes for ever.
func (p imagePlace) pinned() bool { return strings.Contains(p.image, "@") }

// key tells apart what was seen by different logins, and without: who has none learns nothing from those who have one. No
// password is kept.
func (p imagePlace) key() string {
	if p.login.Registry == "" {
		return p.image
	}
	return fmt.Sprintf("%s\n%x", p.image, sha256.Sum256([]byte(p.login.Registry+"\n"+p.login.User+"\n"+p.login.Password)))
}

// imageSource is where images come from.
type imageSource interface {
	// Registry is where a reference leads.
	Registry(image string) (string, error)
	// Open begins to fetch an image, with a login or, without a registry in it, with none.
	Open(ctx context.Context, image string, login ociwasm.Login) (io.ReadCloser, error)
}

var _ imageSource = registries{}

// registries are those that hosts pull from by default.
type registries struct{ options ociwasm.Options }

func newRegistries(hosts config.Hosts) (registries, error) {
	var list, insecure []string
	for _, m := range hosts.Mirrors {
		list = append(list, m.Prefix+"="+m.Target)
		if registry, _, _ := strings.Cut(m.Target, "/"); m.Insecure {
			insecure = append(insecure, registry)
		}
	}
	mirrors, err := ociwasm.ParseMirrors(strings.Join(list, ","))
	if err != nil {
		return registries{}, fmt.Errorf("read hosts.mirrors: %w", err)
	}
	return registries{ociwasm.Options{Mirrors: mirrors, Insecure: insecure, AllowLatest: true, MaxBytes: maxArchive}}, nil
}

// Registry is that of imageSource.
func (r registries) Registry(image string) (string, error) { return r.options.Registry(image) }

// Open is that of imageSource.
func (r registries) Open(ctx context.Context, image string, login ociwasm.Login) (io.ReadCloser, error) {
	options := r.options
	if login.Registry != "" {
		options.Credentials = func(registry string) (user, password string, ok bool) {
			login, ok := ociwasm.Logins{login}.For(registry)
			return login.User, login.Password, ok
		}
	}
	return ociwasm.Open(ctx, image, options)
}
