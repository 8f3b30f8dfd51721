package hostgroup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nkeys"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func secretOf(data map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mine"}, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

func newSeed(t *testing.T) (seed, public string) {
	t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = user.PublicKey(); err != nil {
		t.Fatal(err)
	}
	return string(raw), public
}

func TestLogin(t *testing.T) {
	seed, public := newSeed(t)
	for name, tc := range map[string]struct {
		data map[string]string
		want Login
	}{
		"file":               {map[string]string{"nats.creds": "x"}, Login{Creds: []byte("x")}},
		"file before others": {map[string]string{"nats.creds": "x", "user.nk": seed, "username": "u", "password": "p"}, Login{Creds: []byte("x")}},
		"seed":               {map[string]string{"user.nk": seed + "\n"}, Login{Seed: []byte(seed)}},
		"user":               {map[string]string{"username": "u\n", "password": " p"}, Login{User: "u", Password: " p"}},
	} {
		got, p := loginOf(secretOf(tc.data))
		if p != nil {
			t.Errorf("%s: %v", name, p)
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(Login{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got, p := loginOf(secretOf(map[string]string{"user.jwt": "header.claims.signature\n", "user.nk": seed}))
	if p != nil {
		t.Fatal(p)
	}
	token, err := nkeys.ParseDecoratedJWT(got.Creds)
	if err != nil || token != "header.claims.signature" {
		t.Errorf("the file made of JWT and seed holds %q, %v", token, err)
	}
	key, err := nkeys.ParseDecoratedUserNKey(got.Creds)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := key.PublicKey(); err != nil || now != public {
		t.Errorf("the file made of JWT and seed has the key %s, %v, want %s", now, err, public)
	}
}

func TestLogin_Errors(t *testing.T) {
	for name, tc := range map[string]struct {
		data map[string]string
		says string
	}{
		"nothing":          {nil, "nats.creds"},
		"JWT without seed": {map[string]string{"user.jwt": "a.b.c"}, "user.nk"},
		"an account seed":  {map[string]string{"user.nk": "SAABC"}, "begins with SU"},
		"a way out":        {map[string]string{"user.nk": "SU\"}\nlisten: 0.0.0.0"}, "begins with SU"},
		"no password":      {map[string]string{"username": "u"}, "password"},
	} {
		_, p := loginOf(secretOf(tc.data))
		if p == nil || !strings.Contains(p.message, tc.says) || p.retry == 0 {
			t.Errorf("%s: %v, want a problem that names %s and is looked at again", name, p, tc.says)
		}
		for _, secret := range tc.data {
			if p != nil && strings.Contains(p.message, secret) && secret != "u" {
				t.Errorf("%s: the message repeats %q", name, secret)
			}
		}
	}
}
