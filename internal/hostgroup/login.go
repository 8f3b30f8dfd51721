package hostgroup

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Login is how leaf and operator log in to the hub. At most one of Creds, Seed and User is set.
type Login struct {
	// Creds is the content of a NATS credentials file.
	Creds []byte
	// Seed of an nkey.
	Seed           []byte
	User, Password string
	// derived says that Creds were put together and lie in no Secret of the user.
	derived bool
}

// loginOf reads the keys of the user's Secret in the order of the spec page.
func loginOf(secret *corev1.Secret) (Login, *problem) {
	get := func(key string) []byte { return bytes.TrimSpace(secret.Data[key]) }
	token, seed := get(v1alpha1.UserJWTKey), get(v1alpha1.UserSeedKey)
	user, password := get(corev1.BasicAuthUsernameKey), get(corev1.BasicAuthPasswordKey)
	switch {
	case len(secret.Data[v1alpha1.CredentialsKey]) > 0:
		return Login{Creds: secret.Data[v1alpha1.CredentialsKey]}, nil
	case len(token) > 0 && len(seed) == 0:
		return Login{}, incomplete("Secret %s of spec.secretName has %s without %s: put the seed of the user's nkey there.",
			secret.Name, v1alpha1.UserJWTKey, v1alpha1.UserSeedKey)
	case len(seed) > 0 && !userSeed(seed):
		return Login{}, incomplete("Secret %s of spec.secretName has no seed of a user's nkey under %s: it begins with SU.",
			secret.Name, v1alpha1.UserSeedKey)
	case len(token) > 0:
		return Login{Creds: credentialsFile(token, seed), derived: true}, nil
	case len(seed) > 0:
		return Login{Seed: seed}, nil
	case len(user) > 0 && len(password) > 0:
		return Login{User: string(user), Password: string(secret.Data[corev1.BasicAuthPasswordKey])}, nil
	}
	return Login{}, incomplete("Secret %s of spec.secretName has no key %s, %s or %s with %s: put the NATS credentials file, the nkey seed or the user there.",
		secret.Name, v1alpha1.CredentialsKey, v1alpha1.UserSeedKey, corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
}

// userSeed keeps what is no seed out of the configuration of the leaf, whose parser would end it with the text in its log.
func userSeed(seed []byte) bool {
	return bytes.HasPrefix(seed, []byte("SU")) && !bytes.ContainsFunc(seed, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '2' || r > '7') // base32
	})
}

// credentialsFile is the form that hosts, leaves and clients read.
func credentialsFile(token, seed []byte) []byte {
	return fmt.Appendf(nil, "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", token, seed)
}

// remoteConfig is the part of the leaf's configuration that holds a secret, for logins that NATS reads from no file.
func remoteConfig(urls []string, login Login) (string, error) {
	if len(login.Seed) > 0 {
		return leafURLs(urls) + "nkey: " + quote(string(login.Seed)) + "\n", nil
	}
	with := make([]string, 0, len(urls))
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			return "", fmt.Errorf("the address of the hub is not a URL") // the text may hold a password
		}
		u.User = url.UserPassword(login.User, login.Password)
		with = append(with, u.String())
	}
	return leafURLs(with), nil
}

func leafURLs(urls []string) string {
	quoted := make([]string, 0, len(urls))
	for _, u := range urls {
		quoted = append(quoted, quote(u))
	}
	if len(quoted) == 1 {
		return "url: " + quoted[0] + "\n"
	}
	return "urls: [" + strings.Join(quoted, ", ") + "]\n"
}
