package hostgroup

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// volumes of a host pod. Those of the user follow them.
func volumes(group *v1alpha1.WasmCloudHostConfig, in Inputs) []corev1.Volume {
	out := []corev1.Volume{{Name: leafVolume, VolumeSource: corev1.VolumeSource{Projected: leafSources(group, in)}}}
	for _, a := range in.Authorities {
		out = append(out, authorityVolume(a))
	}
	if in.Registry != nil {
		out = append(out, corev1.Volume{Name: registryVolume, VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: in.Registry.ConfigSecret,
				Items: []corev1.KeyToPath{{Key: corev1.DockerConfigJsonKey, Path: "config.json"}}}}})
	}
	out = append(out, corev1.Volume{Name: storeVolume, VolumeSource: leafStorage(group.Spec.NATS)})
	for _, name := range []string{tmpVolume, helperVolume} {
		out = append(out, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	return out
}

// leafSources puts configuration and credentials into one folder without subPath, so that the kubelet keeps both
// current.
func leafSources(group *v1alpha1.WasmCloudHostConfig, in Inputs) *corev1.ProjectedVolumeSource {
	sources := []corev1.VolumeProjection{fromConfigMap(group.Name, leafConfigKey, leafConfigKey)}
	if in.CredentialsSecret != "" {
		sources = append(sources, fromSecret(in.CredentialsSecret, v1alpha1.CredentialsKey, v1alpha1.CredentialsKey))
	}
	if in.RemoteSecret != "" {
		sources = append(sources, fromSecret(in.RemoteSecret, remoteKey, remoteKey))
	}
	sources = append(sources, tlsSources(group.Spec.NATS)...)
	// Group-readable: the files belong to root, the leaf reads them through fsGroup.
	return &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: new(int32(0o440))}
}

func tlsSources(nats *v1alpha1.NATS) []corev1.VolumeProjection {
	if nats == nil || nats.TLS == nil {
		return nil
	}
	var out []corev1.VolumeProjection
	if ca := nats.TLS.CertificateAuthority; ca != nil && ca.SecretName != "" {
		out = append(out, fromSecret(ca.SecretName, orDefault(ca.Key, hubAuthorityKey), hubCAFile))
	} else if ca != nil {
		out = append(out, fromConfigMap(ca.ConfigMapName, orDefault(ca.Key, hubAuthorityKey), hubCAFile))
	}
	if name := nats.TLS.CertificateSecret; name != "" {
		out = append(out, fromSecret(name, corev1.TLSCertKey, hubCertFile, corev1.TLSPrivateKeyKey, hubKeyFile))
	}
	return out
}

func fromConfigMap(name, key, path string) corev1.VolumeProjection {
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: []corev1.KeyToPath{{Key: key, Path: path}}}}
}

// fromSecret takes pairs of key and path.
func fromSecret(name string, pairs ...string) corev1.VolumeProjection {
	var items []corev1.KeyToPath
	for pair := range slices.Chunk(pairs, 2) {
		items = append(items, corev1.KeyToPath{Key: pair[0], Path: pair[1]})
	}
	return corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: items}}
}

// leafStorage is the emptyDir, or a claim that goes with the pod: what lasts is in the hub.
func leafStorage(nats *v1alpha1.NATS) corev1.VolumeSource {
	if nats == nil || nats.LeafStorage == nil {
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	}
	if claim := nats.LeafStorage.VolumeClaim; claim != nil {
		spec := *claim.DeepCopy()
		if len(spec.AccessModes) == 0 {
			spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		}
		return corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: spec}}}
	}
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: nats.LeafStorage.SizeLimit}}
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
