package hostgroup

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// protectedEnv are variables without which a host would not join its lattice or its pod.
var protectedEnv = []string{"WASMCLOUD_LATTICE", "WASMCLOUD_NATS_HOST", "WASMCLOUD_NATS_PORT"}

// withAdditions merges the user's additions into the pod: the user wins, except for what would break the group, which
// the error names.
func withAdditions(pod *corev1.PodSpec, spec *v1alpha1.WasmCloudHostConfigSpec) error {
	options := spec.SchedulingOptions
	var wasmcloud, nats, whole *apiextensionsv1.JSON
	if options != nil {
		whole = options.PodTemplateAdditions
		if c := options.ContainerTemplateAdditions; c != nil {
			wasmcloud, nats = c.Wasmcloud, c.Nats
		}
	}
	before := pod.DeepCopy()
	if err := mergeContainer(&pod.Containers[0], wasmcloud, "wasmcloud"); err != nil {
		return err
	}
	hostProbes(&pod.Containers[0], adminOf(pod.Containers[0].Env))
	if err := mergeContainer(&pod.InitContainers[1], nats, "nats"); err != nil {
		return err
	}
	if whole != nil {
		if err := mergePod(pod, whole); err != nil {
			return err
		}
	}
	if err := intact(before, pod); err != nil {
		return err
	}
	hostStop(pod, spec.Lattice)
	return nil
}

// adminOf returns where the host answers health requests, as seen from within the pod.
func adminOf(env []corev1.EnvVar) string {
	for _, v := range env {
		if v.Name != adminEnv {
			continue
		}
		host, port, err := net.SplitHostPort(v.Value)
		if ip := net.ParseIP(host); err == nil && ip != nil {
			switch {
			case ip.IsUnspecified() && ip.To4() != nil:
				host = "127.0.0.1"
			case ip.IsUnspecified():
				host = "::1"
			}
			return net.JoinHostPort(host, port)
		}
	}
	return AdminAddress
}

func mergeContainer(ours *corev1.Container, additions *apiextensionsv1.JSON, field string) error {
	if additions == nil || len(additions.Raw) == 0 {
		return nil
	}
	var theirs corev1.Container
	if err := json.Unmarshal(additions.Raw, &theirs); err != nil {
		return fmt.Errorf("containerTemplateAdditions.%s is not a container: %w", field, err)
	}
	if theirs.Name != "" && theirs.Name != ours.Name {
		return fmt.Errorf("containerTemplateAdditions.%s.name is %q: remove it, the container is called %s", field, theirs.Name, ours.Name)
	}
	if err := checkContainer(ours, &theirs, field); err != nil {
		return err
	}
	base := *ours.DeepCopy()
	dropReplaced(&base, &theirs)
	name, args := base.Name, base.Args
	if err := strategicMerge(&base, additions.Raw, corev1.Container{}); err != nil {
		return fmt.Errorf("containerTemplateAdditions.%s can't be merged: %w", field, err)
	}
	// The user's arguments follow ours instead of replacing them.
	base.Name, base.Args = name, append(slices.Clone(args), theirs.Args...)
	*ours = base
	return nil
}

// checkContainer refuses what would break the group.
func checkContainer(ours, theirs *corev1.Container, field string) error {
	for _, v := range theirs.Env {
		if slices.Contains(protectedEnv, v.Name) || strings.HasPrefix(v.Name, labelEnvPrefix) && reservedLabel(strings.TrimPrefix(v.Name, labelEnvPrefix)) {
			return fmt.Errorf("containerTemplateAdditions.%s.env sets %s, which Trellis sets: remove it", field, v.Name)
		}
	}
	for _, m := range theirs.VolumeMounts {
		if slices.ContainsFunc(ours.VolumeMounts, func(o corev1.VolumeMount) bool { return o.MountPath == m.MountPath && o.MountPath != tmpDir }) {
			return fmt.Errorf("containerTemplateAdditions.%s.volumeMounts mounts %s, which Trellis needs: choose another path", field, m.MountPath)
		}
	}
	if field == "nats" && (theirs.RestartPolicy != nil || len(theirs.Command) > 0) {
		return fmt.Errorf("containerTemplateAdditions.nats sets command or restartPolicy, which Trellis sets: remove it")
	}
	return nil
}

// dropReplaced removes what the user replaces as a whole: a probe or hook may have one kind of handler only, and a
// variable either a value or a source.
func dropReplaced(base, theirs *corev1.Container) {
	if theirs.StartupProbe != nil {
		base.StartupProbe = nil
	}
	if theirs.ReadinessProbe != nil {
		base.ReadinessProbe = nil
	}
	base.Env = slices.DeleteFunc(base.Env, func(v corev1.EnvVar) bool {
		return slices.ContainsFunc(theirs.Env, func(t corev1.EnvVar) bool { return t.Name == v.Name })
	})
	base.VolumeMounts = slices.DeleteFunc(base.VolumeMounts, func(m corev1.VolumeMount) bool {
		return slices.ContainsFunc(theirs.VolumeMounts, func(t corev1.VolumeMount) bool { return t.MountPath == m.MountPath })
	})
}

func mergePod(pod *corev1.PodSpec, additions *apiextensionsv1.JSON) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(additions.Raw, &fields); err != nil {
		return fmt.Errorf("podTemplateAdditions is not a pod spec: %w", err)
	}
	var theirs corev1.PodSpec
	if err := json.Unmarshal(additions.Raw, &theirs); err != nil {
		return fmt.Errorf("podTemplateAdditions is not a pod spec: %w", err)
	}
	// As in wasmCloud's operator, containers are ignored.
	for _, ignored := range []string{"containers", "$setElementOrder/containers"} {
		delete(fields, ignored)
	}
	for _, v := range theirs.Volumes {
		if slices.ContainsFunc(pod.Volumes, func(o corev1.Volume) bool { return o.Name == v.Name && o.Name != tmpVolume }) {
			return fmt.Errorf("podTemplateAdditions.volumes has a volume %s, which Trellis needs: rename it", v.Name)
		}
	}
	for _, c := range theirs.InitContainers {
		if c.Name == v1alpha1.LeafContainer || c.Name == v1alpha1.HelperContainer || c.Name == v1alpha1.HostContainer {
			return fmt.Errorf("podTemplateAdditions.initContainers has a container %s, which Trellis needs: rename it or use containerTemplateAdditions", c.Name)
		}
	}
	// A volume has one source only: the user's /tmp replaces ours.
	pod.Volumes = slices.DeleteFunc(pod.Volumes, func(o corev1.Volume) bool {
		return slices.ContainsFunc(theirs.Volumes, func(v corev1.Volume) bool { return v.Name == o.Name })
	})
	if theirs.HostNetwork && pod.SecurityContext != nil {
		pod.SecurityContext.Sysctls = nil // Kubernetes refuses those of the network beside hostNetwork
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("podTemplateAdditions can't be encoded: %w", err)
	}
	if err := strategicMerge(pod, raw, corev1.PodSpec{}); err != nil {
		return fmt.Errorf("podTemplateAdditions can't be merged: %w", err)
	}
	return nil
}

// strategicMerge patches *into as kubectl would.
func strategicMerge[T any](into *T, patch []byte, schema T) error {
	base, err := json.Marshal(into)
	if err != nil {
		return err
	}
	merged, err := strategicpatch.StrategicMergePatch(base, patch, schema)
	if err != nil {
		return err
	}
	var out T
	if err := json.Unmarshal(merged, &out); err != nil {
		return err
	}
	*into = out
	return nil
}
