package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/trellis-operator/trellis/internal/archive"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/registry"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

func unsignedComponent(t *testing.T) []byte {
	t.Helper()
	var code bytes.Buffer
	if err := token.Strip(&code, signedComponent(t, time.Time{})); err != nil {
		t.Fatal(err)
	}
	return code.Bytes()
}

// openFunc is a registry that everything is in.
type openFunc func(ctx context.Context, image string, login ociwasm.Login) (io.ReadCloser, error)

func (openFunc) Registry(string) (string, error) { return "example.com", nil }

func (f openFunc) Open(ctx context.Context, image string, login ociwasm.Login) (io.ReadCloser, error) {
	return f(ctx, image, login)
}

func gives(content []byte) openFunc {
	return func(context.Context, string, ociwasm.Login) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
}

func noLogins(context.Context, secrets.Asker) (ociwasm.Logins, error) { return nil, nil }

var anybody = secrets.Asker{Lattice: "default"}

func providerOptions() sign.ProviderOptions {
	account, _ := sign.Seeds("secret")
	return sign.ProviderOptions{Account: account, Provider: sign.ProviderSeed("db"), Name: "db", Vendor: "acme"}
}

// signedProvider is an archive as wash packs it.
func signedProvider(t *testing.T, change func(*sign.ProviderOptions)) []byte {
	t.Helper()
	o := providerOptions()
	if change != nil {
		change(&o)
	}
	packed, err := sign.Archive(map[string][]byte{"x86_64-linux": bytes.Repeat([]byte("program"), 100_000)}, o)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// forged is the archive of a provider with the token of a component.
func forged(t *testing.T) []byte {
	t.Helper()
	signed, err := token.Read(signedComponent(t, time.Time{}), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return sign.Compress(sign.Tar(sign.Entry{Name: sign.ClaimsEntry, Content: []byte(signed.JWT)}))
}

func TestSecretImages_Errors(t *testing.T) {
	code := unsignedComponent(t)
	for name, tc := range map[string]struct {
		open openFunc
		is   error
		says string
	}{
		"registry away":  {func(context.Context, string, ociwasm.Login) (io.ReadCloser, error) { return nil, errAway }, errAway, "away"},
		"no WebAssembly": {gives(append([]byte("\x00asm\x0d\x00\x01\x00"), 0xff)), token.ErrNotWasm, "example.com/a:1"},
		"no token":       {gives(sign.Attach(code, "a.b")), token.ErrForm, "example.com/a:1"},
		"other code":     {gives(append(signedComponent(t, time.Time{}), 0, 2, 1, 'x')), token.ErrOtherCode, "example.com/a:1"},
		"expired":        {gives(signedComponent(t, time.Unix(2, 0))), token.ErrExpired, "example.com/a:1"},
		"a panic":        {func(context.Context, string, ociwasm.Login) (io.ReadCloser, error) { panic("at foreign bytes") }, nil, "could not be read"},
		"no archive":     {gives(bytes.Repeat([]byte("text"), 1000)), archive.ErrForm, "example.com/a:1"},
		"cut archive":    {gives(signedProvider(t, nil)[:50]), archive.ErrForm, "example.com/a:1"},
		"gone on the way": {func(context.Context, string, ociwasm.Login) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(signedProvider(t, nil)[:50]), iotest.ErrReader(errAway))), nil
		}, errAway, "example.com/a:1"},
		"expired provider":      {gives(signedProvider(t, func(o *sign.ProviderOptions) { o.Expires = time.Unix(2, 0) })), nil, "it has expired"},
		"changed provider":      {gives(sign.Tar(sign.Entry{Name: sign.ClaimsEntry, Content: []byte("a.b.c")})), nil, "is refused"},
		"token of another kind": {gives(forged(t)), errOtherKind, "example.com/a:1"},
		"slow": {func(ctx context.Context, _ string, _ ociwasm.Login) (io.ReadCloser, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, errSlowImage, "example.com/a:1"},
	} {
		t.Run(name, func(t *testing.T) {
			images := newSecretImages(tc.open, noLogins)
			images.wait = 200 * time.Millisecond
			if name != "slow" {
				images.wait = time.Minute
			}
			got, err := images.Claims(t.Context(), anybody, "example.com/a:1")
			if err == nil || got != nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%+v, %v; want %v, %q", got, err, tc.is, tc.says)
			}
		})
	}
}

// TestSecretImages_Kept: how often a registry is asked.
func TestSecretImages_Kept(t *testing.T) {
	code := signedComponent(t, time.Time{})
	for name, tc := range map[string]struct {
		image string
		fails bool
		after time.Duration
		want  int
	}{
		"tag, soon":       {"example.com/a:1", false, tagAge - time.Second, 1},
		"tag, later":      {"example.com/a:1", false, tagAge, 2},
		"digest":          {"example.com/a@sha256:1111", false, 1000 * time.Hour, 1},
		"failure, soon":   {"example.com/a@sha256:1111", true, failureAge - time.Millisecond, 1},
		"failure, later":  {"example.com/a@sha256:1111", true, failureAge, 2},
		"unsigned digest": {"example.com/b@sha256:2222", false, 1000 * time.Hour, 1},
	} {
		pulls, now := 0, time.Unix(1000, 0)
		images := newSecretImages(openFunc(func(ctx context.Context, image string, login ociwasm.Login) (io.ReadCloser, error) {
			if pulls++; tc.fails {
				return nil, errAway
			}
			return gives(code)(ctx, image, login)
		}), noLogins)
		images.now = func() time.Time { return now }
		for range 2 {
			_, _ = images.Claims(t.Context(), anybody, tc.image) // the errors are tested above
			_, _ = images.Claims(t.Context(), anybody, tc.image)
			now = now.Add(tc.after)
		}
		if pulls != tc.want {
			t.Errorf("%s: %d pulls, want %d", name, pulls, tc.want)
		}
	}
}

// TestSecretImages_Expires: a token that was valid when its image was pulled is asked each time.
func TestSecretImages_Expires(t *testing.T) {
	now := time.Unix(1000, 0)
	images := newSecretImages(gives(signedComponent(t, now.Add(time.Hour))), noLogins)
	images.now = func() time.Time { return now }
	if _, err := images.Claims(t.Context(), anybody, "example.com/a@sha256:1111"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if got, err := images.Claims(t.Context(), anybody, "example.com/a@sha256:1111"); err == nil {
		t.Errorf("an expired token speaks of %+v", got)
	}
}

// TestSecretImages_Together: many requests for an image are one pull, which goes on when the first to ask has gone.
func TestSecretImages_Together(t *testing.T) {
	var pulls atomic.Int32
	release := make(chan struct{})
	code := signedComponent(t, time.Time{})
	images := newSecretImages(openFunc(func(ctx context.Context, image string, login ociwasm.Login) (io.ReadCloser, error) {
		pulls.Add(1)
		select {
		case <-release:
			return gives(code)(ctx, image, login)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}), noLogins)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := images.Claims(gone, anybody, "example.com/a:1"); !errors.Is(err, context.Canceled) {
		t.Fatalf("error = %v", err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if got, err := images.Claims(t.Context(), anybody, "example.com/a:1"); err != nil || got == nil {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	close(release)
	group.Wait()
	if n := pulls.Load(); n != 1 {
		t.Errorf("%d pulls", n)
	}
}

// TestSecretImages_Bound: references are the users' to invent.
func TestSecretImages_Bound(t *testing.T) {
	images := newSecretImages(nil, nil)
	for i := range 2 * maxImages {
		images.keep(imagePlace{image: strings.Repeat("a", i%500) + "@" + string(rune('a'+i))}, pulled{})
	}
	if len(images.known) > maxImages {
		t.Errorf("it remembers %d images", len(images.known))
	}
}

// TestSecretImages pulls from a registry, through a mirror.
func TestSecretImages(t *testing.T) {
	server, err := registry.Start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	push := func(name string, code []byte) string {
		t.Helper()
		digest, err := ociwasm.PushBytes(t.Context(), server.Address()+"/acme/"+name+":1", code, ociwasm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	digest := push("signed", signedComponent(t, time.Time{}))
	push("plain", unsignedComponent(t))
	source, err := newRegistries(config.Hosts{Mirrors: []config.Mirror{{Prefix: "ghcr.io/acme", Target: server.Address() + "/acme", Insecure: true}}})
	if err != nil {
		t.Fatal(err)
	}
	images := newSecretImages(source, noLogins)
	account, module := sign.Seeds("secret")
	issuer, err := sign.AccountKey(account)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := sign.ModuleKey(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"ghcr.io/acme/signed:1", "ghcr.io/acme/signed@" + digest} {
		got, err := images.Claims(t.Context(), anybody, image)
		if err != nil {
			t.Fatal(err)
		}
		if got == nil || got.Kind != secrets.Component || got.Subject != subject || got.Issuer != issuer || got.Hash == "" {
			t.Errorf("%s speaks of %+v", image, got)
		}
	}
	if got, err := images.Claims(t.Context(), anybody, "ghcr.io/acme/plain:1"); err != nil || got != nil {
		t.Errorf("an unsigned component speaks of %+v, %v", got, err)
	}
	if _, err := images.Claims(t.Context(), anybody, "ghcr.io/acme/missing:1"); err == nil {
		t.Error("a missing image is no error")
	}
}
