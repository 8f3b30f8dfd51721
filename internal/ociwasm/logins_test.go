package ociwasm_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/trellis-operator/trellis/internal/ociwasm"
)

const password = "opensesame"

func TestLogins(t *testing.T) {
	both := base64.StdEncoding.EncodeToString([]byte("u:" + password))
	logins, err := ociwasm.ParseLogins([]byte(`{"auths":{
		"https://r.example.com/v1/":{"username":"older","password":"x"},
		"r.example.com":{"username":"u","password":"` + password + `"},
		"port.example.com:5000":{"auth":"` + both + `"},
		"https://index.docker.io/v1/":{"auth":"` + both + `"},
		"token.example.com":{"identitytoken":"x"},
		"broken.example.com":{"auth":"???"}}}`))
	if err != nil || len(logins) != 6 {
		t.Fatalf("%d logins, %v", len(logins), err)
	}
	for registry, user := range map[string]string{
		"r.example.com": "u", "port.example.com:5000": "u", "index.docker.io": "u", "docker.io": "u",
		"port.example.com": "", "r.example.com:443": "", "sub.r.example.com": "", "example.com": "", "r.example.com.evil.example": "", "": "",
		"token.example.com": "", "broken.example.com": "",
	} {
		got, ok := logins.For(registry)
		if ok != (user != "") || got.User != user || ok && got.Password != password {
			t.Errorf("%q: %s %s", registry, got.User, got)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, logins); strings.Contains(text, password) || !strings.Contains(text, "r.example.com") {
			t.Errorf("%s writes %s", verb, text)
		}
	}
	for _, config := range []string{"", "x" + password, "null", `{"auths":{}}`, `{"auths":[]}`} {
		if _, err := ociwasm.ParseLogins([]byte(config)); !errors.Is(err, ociwasm.ErrLogins) || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", config, err)
		}
	}
}

// heard is a server that notes who logs in, and answers after that.
type heard struct {
	mu     sync.Mutex
	logins []string
	answer http.Handler
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	if r.Header.Get("Authorization") != "" {
		h.logins = append(h.logins, r.Host+" "+r.Header.Get("Authorization"))
	}
	h.mu.Unlock()
	h.answer.ServeHTTP(w, r)
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logins
}

func listen(t *testing.T, answer http.Handler) (*heard, string) {
	t.Helper()
	h := &heard{answer: answer}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, strings.TrimPrefix(s.URL, "http://")
}

// closed wants a login, by name and password or by a token for it.
func closed(open http.Handler, challenge func(*http.Request) string, with string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != with {
			w.Header().Set("WWW-Authenticate", challenge(r))
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"you said %s"}]}`, r.Header.Get("Authorization"))
			return
		}
		open.ServeHTTP(w, r)
	})
}

func to(host, user string) ociwasm.Options {
	return ociwasm.Options{Credentials: func(registry string) (string, string, bool) { return user, password, registry == host }}
}

var (
	basic  = "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+password))
	quiet  = registry.Logger(log.New(io.Discard, "", 0))
	realm  = func(*http.Request) string { return `Basic realm="r"` }
	moving = func(to string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+to+r.URL.Path, http.StatusTemporaryRedirect)
		})
	}
)

// TestOpen_Login: a login opens its registry and is told to nobody else, neither to where that sends one nor to others.
func TestOpen_Login(t *testing.T) {
	code := []byte("\x00asm0123456789")
	blobs, elsewhere := listen(t, registry.New(quiet))
	if _, err := ociwasm.PushBytes(t.Context(), elsewhere+"/acme/private:1", code, ociwasm.Options{}); err != nil {
		t.Fatal(err)
	}
	here, host := listen(t, closed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		moving(elsewhere).ServeHTTP(w, r)
	}), realm, basic))
	blob, err := ociwasm.Open(t.Context(), host+"/acme/private:1", to(host, "u"))
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	if got, err := io.ReadAll(blob); err != nil || string(got) != string(code) {
		t.Errorf("%q, %v", got, err)
	}
	if len(here.all()) == 0 || len(blobs.all()) > 0 {
		t.Errorf("the registry was told %d times, the other server %v", len(here.all()), blobs.all())
	}
	for what, o := range map[string]ociwasm.Options{"nobody": {}, "the login of another registry": to(elsewhere, "u")} {
		told := len(here.all())
		if _, err := ociwasm.Open(t.Context(), host+"/acme/private:1", o); err == nil {
			t.Errorf("%s was let in", what)
		}
		if len(here.all()) != told {
			t.Errorf("%s: a login was sent", what)
		}
	}
}

// TestOpen_Token: the server of tokens that a registry names gets the login, and nobody to whom that redirects.
func TestOpen_Token(t *testing.T) {
	code := []byte("\x00asm0123456789")
	inner := registry.New(quiet)
	_, plain := listen(t, inner)
	if _, err := ociwasm.PushBytes(t.Context(), plain+"/acme/private:1", code, ociwasm.Options{}); err != nil {
		t.Fatal(err)
	}
	other, thief := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"token":"t0"}`) }))
	var host string
	tokens := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/moved":
			moving(thief).ServeHTTP(w, r)
		case r.Header.Get("Authorization") == basic:
			_, _ = io.WriteString(w, `{"token":"t1"}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	path := "/token"
	closedInner := closed(inner, func(*http.Request) string { return `Bearer realm="http://` + host + path + `",service="s"` }, "Bearer t1")
	_, host = listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v2/") {
			tokens.ServeHTTP(w, r)
			return
		}
		closedInner.ServeHTTP(w, r)
	}))
	blob, err := ociwasm.Open(t.Context(), host+"/acme/private:1", to(host, "u"))
	if err != nil {
		t.Fatal(err)
	}
	blob.Close()
	path = "/moved"
	_, err = ociwasm.Open(t.Context(), host+"/acme/private:1", to(host, "u"))
	if err == nil {
		t.Error("a token of another server opens the registry")
	}
	if len(other.all()) > 0 {
		t.Errorf("the other server heard %v", other.all())
	}
}

// TestOpen_Hushed: what a registry answers to a login is not repeated, since it may hold it.
func TestOpen_Hushed(t *testing.T) {
	_, host := listen(t, closed(http.NotFoundHandler(), realm, "never"))
	blank := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"tokem":"`+password+`"}`) })
	var odd string
	_, odd = listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			blank.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+odd+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	for host, says := range map[string]string{host: "401 Unauthorized", odd: "did not serve"} {
		_, err := ociwasm.Open(t.Context(), host+"/acme/private:1", to(host, "u"))
		if !errors.Is(err, ociwasm.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("error = %v, want %q", err, says)
		}
		if text := fmt.Sprint(err); strings.Contains(text, password) || strings.Contains(text, strings.TrimPrefix(basic, "Basic ")) {
			t.Error("the error holds the login")
		}
	}
}

// refuseTLS plays a network in which nothing but plain HTTP works, and serves every host.
type refuseTLS struct {
	answer http.Handler
	heard  []string
}

func (r *refuseTLS) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme == "https" {
		return nil, http.ErrSchemeMismatch
	}
	r.heard = append(r.heard, request.Header.Get("Authorization"))
	answer := httptest.NewRecorder()
	r.answer.ServeHTTP(answer, request)
	return answer.Result(), nil
}

// TestOpen_InClear: the library speaks plain HTTP to private addresses by itself, but a login does not go there.
func TestOpen_InClear(t *testing.T) {
	const host = "10.1.2.3:5000"
	network := &refuseTLS{answer: closed(http.NotFoundHandler(), realm, "never")}
	o := to(host, "u")
	o.Transport = network
	if _, err := ociwasm.Open(t.Context(), host+"/acme/private:1", o); !errors.Is(err, ociwasm.ErrInClear) {
		t.Errorf("error = %v", err)
	}
	if len(network.heard) == 0 || strings.Join(network.heard, "") != "" {
		t.Errorf("the network heard %q", network.heard)
	}
	o.Insecure = []string{host}
	if _, err := ociwasm.Open(t.Context(), host+"/acme/private:1", o); !errors.Is(err, ociwasm.ErrRefused) {
		t.Errorf("error = %v", err)
	}
	if !strings.Contains(strings.Join(network.heard, ""), "Basic") {
		t.Error("a registry that is marked as insecure got no login")
	}
}
