package hostgroup

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// volumes of a host pod. Those of the user follow them.
func volumes(group *v1alpha1.WasmCloudHostConfig, in Inputs) []corev1.Volume {
	out := []corev1.Volume{{Name: leafVolume, VolumeSource: corev1.VolumeSource{Projected: leafSources(group.Name, in)}}}
	for _, a := range in.Authorities {
		out = append(out, authorityVolume(a))
	}
	if in.Registry != nil {
		out = append(out, corev1.Volume{Name: registryVolume, VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: in.Registry.ConfigSecret,
				Items: []corev1.KeyToPath{{Key: corev1.DockerConfigJsonKey, Path: "config.json"}}}}})
	}
	for _, name := range []string{storeVolume, tmpVolume, helperVolume} {
		out = append(out, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	return out
}

// leafSources puts configuration and credentials into one folder without subPath, so that the kubelet keeps both
// current.
func leafSources(name string, in Inputs) *corev1.ProjectedVolumeSource {
	sources := []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: name},
		Items:                []corev1.KeyToPath{{Key: leafConfigKey, Path: leafConfigKey}},
	}}}
	if in.CredentialsSecret != "" {
		sources = append(sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: in.CredentialsSecret},
			Items:                []corev1.KeyToPath{{Key: v1alpha1.CredentialsKey, Path: v1alpha1.CredentialsKey}},
		}})
	}
	// Group-readable: the files belong to root, the leaf reads them through fsGroup.
	return &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: new(int32(0o440))}
}

func authorityVolume(a Authority) corev1.Volume {
	v := corev1.Volume{Name: "ca-" + a.Name}
	if a.Secret != nil {
		v.Secret = &corev1.SecretVolumeSource{SecretName: a.Secret.SecretName}
		return v
	}
	v.ConfigMap = &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: a.ConfigMap.Name}}
	return v
}
