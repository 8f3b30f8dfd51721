package hostgroup

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/ociwasm"
)

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
	logins, err := ociwasm.ParseLogins(raw)
	if err != nil {
		return incomplete("Secret %s of spec.registryCredentialsSecret has no registry under %s: make it with kubectl create secret docker-registry.", name, corev1.DockerConfigJsonKey)
	}
	in.Registry = &Registry{ConfigSecret: name}
	note("registry", string(raw))
	if len(logins) != 1 || !logins[0].Usable() {
		return nil
	}
	in.Registry.LoginSecret = group.Name + "-registry"
	sole := logins[0]
	return r.apply(ctx, group, credentialsSecret(group, in.Registry.LoginSecret, map[string][]byte{
		loginRegistry: []byte(sole.Registry), loginUser: []byte(sole.User), loginPassword: []byte(sole.Password)}))
}
