package ociwasm

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Login is one to a registry. It never writes itself out.
type Login struct {
	// Registry is its host and, if it has one, port.
	Registry       string
	User, Password string
}

// String and GoString keep it out of logs and errors.
func (l Login) String() string   { return "login to " + l.Registry }
func (l Login) GoString() string { return l.String() }

// Usable says whether it has both of its parts.
func (l Login) Usable() bool { return l.User != "" && l.Password != "" }

// Logins are those of a docker configuration, by registry.
type Logins []Login

// ParseLogins reads a docker configuration, as in Secrets of type kubernetes.io/dockerconfigjson: one entry for each of
// its auths, also for those that are not usable.
func ParseLogins(config []byte) (Logins, error) {
	var read struct {
		Auths map[string]struct {
			User     string `json:"username"`
			Password string `json:"password"`
			Both     string `json:"auth"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(config, &read); err != nil || len(read.Auths) == 0 {
		return nil, ErrLogins
	}
	logins := make(Logins, 0, len(read.Auths))
	for _, key := range slices.SortedFunc(maps.Keys(read.Auths), shortest) {
		entry := read.Auths[key]
		login := Login{registryOf(key), entry.User, entry.Password}
		if both, err := base64.StdEncoding.DecodeString(entry.Both); err == nil && !login.Usable() {
			login.User, login.Password, _ = strings.Cut(string(both), ":")
		}
		logins = append(logins, login)
	}
	return logins, nil
}

// shortest puts the bare name of a registry before the same with a path.
func shortest(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// For returns the usable login to exactly this registry.
func (l Logins) For(registry string) (Login, bool) {
	i := slices.IndexFunc(l, func(login Login) bool { return login.Registry == registryOf(registry) && login.Usable() })
	if i < 0 {
		return Login{}, false
	}
	return l[i], true
}

// registryOf makes the key of a docker configuration, which may be a URL, the host that references begin with.
func registryOf(key string) string {
	if _, rest, found := strings.Cut(key, "://"); found {
		key = rest
	}
	host, _, _ := strings.Cut(key, "/")
	if host == "index.docker.io" {
		return "docker.io"
	}
	return host
}
