package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// registryPassword must be in no error.
const registryPassword = "sesame-of-the-registry"

func dockerConfig(registry string) string {
	return `{"auths":{"` + registry + `":{"username":"u","password":"` + registryPassword + `"}}}`
}

// loginsOf are those of group hosts in team-a, which names a Secret if it is given one.
func loginsOf(t *testing.T, secret string, data map[string][]byte) groupLogins {
	t.Helper()
	group := hostGroupIn("default")
	group.Spec.RegistryCredentialsSecret = secret
	kube := fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "registry"}, Data: data})
	return groupLogins{fakeReader(t, group), secretReader{kube.CoreV1()}}
}

func TestGroupLogins(t *testing.T) {
	data := map[string][]byte{corev1.DockerConfigJsonKey: []byte(dockerConfig("r.example.com"))}
	for name, tc := range map[string]struct {
		secret string
		asker  secrets.Asker
		want   int
	}{
		"of the group":         {"registry", groupAsks, 1},
		"nobody knows who":     {"registry", anybody, 0},
		"the group names none": {"", groupAsks, 0},
	} {
		got, err := loginsOf(t, tc.secret, data).of(t.Context(), tc.asker)
		if err != nil || len(got) != tc.want {
			t.Errorf("%s: %d logins, %v", name, len(got), err)
		}
	}
}

func TestGroupLogins_Errors(t *testing.T) {
	config := func(text string) map[string][]byte {
		return map[string][]byte{corev1.DockerConfigJsonKey: []byte(text)}
	}
	for name, tc := range map[string]struct {
		logins groupLogins
		asker  secrets.Asker
		says   string
	}{
		"no such group":  {loginsOf(t, "registry", nil), secrets.Asker{Lattice: "default", Namespace: "team-a", Group: "others"}, "look at host group team-a/others"},
		"of another":     {loginsOf(t, "registry", nil), secrets.Asker{Lattice: "default", Namespace: "team-b", Group: "hosts"}, "look at host group team-b/hosts"},
		"no such Secret": {loginsOf(t, "gone", nil), groupAsks, "read Secret gone of spec.registryCredentialsSecret of host group team-a/hosts"},
		"another type":   {loginsOf(t, "registry", map[string][]byte{"password": []byte(registryPassword)}), groupAsks, "no docker configuration"},
		"broken":         {loginsOf(t, "registry", config(registryPassword)), groupAsks, "kubectl create secret docker-registry"},
		"cluster away":   {groupLogins{brokenReader{}, nil}, groupAsks, "away"},
	} {
		got, err := tc.logins.of(t.Context(), tc.asker)
		if err == nil || got != nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), registryPassword) {
			t.Errorf("%s: %v, %v; want %q without a password", name, got, err, tc.says)
		}
	}
}

// registryOf holds images. It is reached in two ways, one of which wants the login.
type registryOf struct{ open, closed string }

func newRegistryOf(t *testing.T) registryOf {
	t.Helper()
	all := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+registryPassword))
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	return registryOf{serve(all), serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != login {
			w.Header().Set("WWW-Authenticate", `Basic realm="closed"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"not `+r.Header.Get("Authorization")+`"}]}`)
			return
		}
		all.ServeHTTP(w, r)
	}))}
}

// push stores what a layer holds as acme/<repository>:1 and returns the digest of that.
func (r registryOf) push(t *testing.T, repository string, content []byte, media types.MediaType) string {
	t.Helper()
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(content, media))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(r.open + "/acme/" + repository + ":1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

const mediaProvider = types.MediaType("application/vnd.wasmcloud.provider.archive.layer.v1+par")

// TestSecretImages_Login: the group that asks decides whether an image is seen, and what one group saw tells no other.
func TestSecretImages_Login(t *testing.T) {
	all := newRegistryOf(t)
	host := all.closed
	digest := all.push(t, "db", signedProvider(t, nil), mediaProvider)
	all.push(t, "api", signedComponent(t, time.Time{}), "application/wasm")
	source, err := newRegistries(config.Hosts{})
	if err != nil {
		t.Fatal(err)
	}
	config := dockerConfig(host)
	images := newSecretImages(source, func(ctx context.Context, asker secrets.Asker) (ociwasm.Logins, error) {
		return loginsOf(t, "registry", map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)}).of(ctx, asker)
	})
	images.wait = time.Minute
	for _, image := range []string{host + "/acme/db:1", host + "/acme/db@" + digest, host + "/acme/api:1"} {
		config = dockerConfig(host)
		for range 2 { // the second time from memory
			got, err := images.Claims(t.Context(), groupAsks, image)
			if err != nil || got == nil || (got.Kind == secrets.Provider) != strings.Contains(image, "/db") {
				t.Errorf("%s with the login: %+v, %v", image, got, err)
			}
		}
		for name, tc := range map[string]struct {
			config string
			asker  secrets.Asker
		}{
			"nobody knows who":            {dockerConfig(host), anybody},
			"a login to another one":      {dockerConfig("r.example.com"), groupAsks},
			"a login to another port":     {dockerConfig("127.0.0.1:1"), groupAsks},
			"another login to this one":   {strings.Replace(dockerConfig(host), `"u"`, `"v"`, 1), groupAsks},
			"another password, withdrawn": {strings.Replace(dockerConfig(host), registryPassword, "older", 1), groupAsks},
		} {
			config = tc.config
			got, err := images.Claims(t.Context(), tc.asker, image)
			if err == nil || got != nil || strings.Contains(err.Error(), "Basic ") {
				t.Errorf("%s, %s: %+v, %v; want an error without the login", image, name, got, err)
			}
		}
	}
	for key := range images.known {
		if strings.Contains(key, registryPassword) {
			t.Error("the password is kept")
		}
	}
	config = registryPassword
	if _, err := images.Claims(t.Context(), groupAsks, host+"/acme/db:1"); !errors.Is(err, ociwasm.ErrLogins) {
		t.Errorf("a broken Secret: %v", err)
	}
	if _, err := images.Claims(t.Context(), anybody, "a b"); !errors.Is(err, ociwasm.ErrReference) {
		t.Errorf("no reference: %v", err)
	}
}
