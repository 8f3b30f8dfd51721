package hostgroup

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

type dockerConfig struct {
	Auths map[string]struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	} `json:"auths"`
}

// gatherRegistry mounts the user's docker configuration for hosts that read one. Upstream hosts know one registry only,
// by variables: where there is exactly one entry, its parts go into a Secret of the group that those refer to.
func (r *Reconciler) gatherRegistry(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, in *Inputs, note func(...string)) error {
	name := group.Spec.RegistryCredentialsSecret
	if name == "" {
		return nil
	}
	secret, err := readSecret(ctx, r.options.Live, group.Namespace, name, "spec.registryCredentialsSecret")
	if err != nil {
		return err
	}
	raw := secret.Data[corev1.DockerConfigJsonKey]
	var config dockerConfig
	if err := json.Unmarshal(raw, &config); err != nil || len(config.Auths) == 0 {
		return incomplete("Secret %s of spec.registryCredentialsSecret has no registry under %s: make it with kubectl create secret docker-registry.", name, corev1.DockerConfigJsonKey)
	}
	in.Registry = &Registry{ConfigSecret: name}
	note("registry", string(raw))
	login := soleLogin(config)
	if login == nil {
		return nil
	}
	in.Registry.LoginSecret = group.Name + "-registry"
	return r.apply(ctx, group, credentialsSecret(group, in.Registry.LoginSecret, login))
}

// soleLogin returns the parts of the only entry, or nil if there are several or none is usable.
func soleLogin(config dockerConfig) map[string][]byte {
	if len(config.Auths) != 1 {
		return nil
	}
	for registry, entry := range config.Auths {
		user, password := entry.Username, entry.Password
		if user == "" || password == "" {
			decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
			if err != nil {
				return nil
			}
			user, password, _ = strings.Cut(string(decoded), ":")
		}
		if user == "" || password == "" {
			return nil
		}
		return map[string][]byte{loginRegistry: []byte(registryHost(registry)), loginUser: []byte(user), loginPassword: []byte(password)}
	}
	return nil
}

// registryHost makes the key of a docker configuration, which may be a URL, the host that references begin with.
func registryHost(key string) string {
	if _, rest, found := strings.Cut(key, "://"); found {
		key = rest
	}
	host, _, _ := strings.Cut(key, "/")
	if host == "index.docker.io" {
		return "docker.io"
	}
	return host
}
