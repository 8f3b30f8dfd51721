package hostgroup

import (
	"maps"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

const (
	adminEnv    = "WASMCLOUD_HTTP_ADMIN"
	podNameEnv  = "POD_NAME"
	registryDir = "/wasmcloud/registry"

	helperVolume   = "trellis-helper"
	leafVolume     = "nats-config"
	storeVolume    = "nats-data"
	tmpVolume      = "tmp"
	registryVolume = "registry-config"

	tmpDir = "/tmp"

	// DefaultGracePeriod is how long pods may take to end. endPeriod of it is for the host after it was drained.
	DefaultGracePeriod = 60 * time.Second
	endPeriod          = 25 * time.Second
)

func authorityDir(name string) string { return "/wasmcloud/certificates/ca-" + name }

// podTemplate returns the template of the pods before the user's additions.
func podTemplate(group *v1alpha1.WasmCloudHostConfig, in Inputs, config string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      templateLabels(group),
			Annotations: templateAnnotations(group, apply.Digest(config, in.Digest)),
		},
		Spec: corev1.PodSpec{
			ServiceAccountName:           group.Name,
			AutomountServiceAccountToken: new(false),
			// What a host runs must begin elsewhere before it ends, images fetched and compiled.
			TerminationGracePeriodSeconds: new(int64(DefaultGracePeriod / time.Second)),
			SecurityContext:               podSecurity(),
			ImagePullSecrets:              pullSecrets(in.Images.PullSecrets),
			InitContainers:                []corev1.Container{helperContainer(in.Images), leafContainer(group, in)},
			Containers:                    []corev1.Container{hostContainer(group, in)},
			Volumes:                       volumes(group, in),
		},
	}
}

// selectorLabels are those of wasmCloud's operator: the selector of a Deployment can't change.
func selectorLabels(group *v1alpha1.WasmCloudHostConfig) map[string]string {
	return map[string]string{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.InstanceLabel: group.Name}
}

func templateLabels(group *v1alpha1.WasmCloudHostConfig) map[string]string {
	labels := map[string]string{}
	if options := group.Spec.SchedulingOptions; options != nil {
		maps.Copy(labels, options.PodLabels)
	}
	for key, value := range group.Spec.HostLabels {
		// Hosts take more than pods do: what can't be a pod label is a host label only.
		name := v1alpha1.HostLabelPrefix + key
		if len(validation.IsQualifiedName(name)) == 0 && len(validation.IsValidLabelValue(value)) == 0 {
			labels[name] = value
		}
	}
	for key, value := range selectorLabels(group) {
		labels[key] = value
	}
	labels[v1alpha1.ManagedByLabel] = v1alpha1.ManagedBy
	return labels
}

func templateAnnotations(group *v1alpha1.WasmCloudHostConfig, checksum string) map[string]string {
	annotations := map[string]string{}
	if options := group.Spec.SchedulingOptions; options != nil {
		maps.Copy(annotations, options.PodAnnotations)
	}
	annotations[v1alpha1.ChecksumAnnotation] = checksum
	return annotations
}

func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		RunAsUser:      new(int64(UserID)),
		RunAsGroup:     new(int64(UserID)),
		FSGroup:        new(int64(UserID)),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		// Applications may ask for port 80, and hosts no longer run as root. A safe sysctl, allowed in restricted pods.
		Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
	}
}

func containerSecurity(readOnly bool) *corev1.SecurityContext {
	sc := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if readOnly {
		sc.ReadOnlyRootFilesystem = new(true)
	}
	return sc
}

func pullSecrets(names []string) []corev1.LocalObjectReference {
	var out []corev1.LocalObjectReference
	for _, name := range names {
		out = append(out, corev1.LocalObjectReference{Name: name})
	}
	return out
}

func helperContainer(images Images) corev1.Container {
	return corev1.Container{
		Name:            v1alpha1.HelperContainer,
		Image:           images.Helper,
		ImagePullPolicy: corev1.PullPolicy(images.PullPolicy),
		Command:         []string{helperInImage, "install", helperDir},
		SecurityContext: containerSecurity(true),
		VolumeMounts:    []corev1.VolumeMount{{Name: helperVolume, MountPath: helperDir}},
	}
}

func leafContainer(group *v1alpha1.WasmCloudHostConfig, in Inputs) corev1.Container {
	s := &group.Spec
	mounts := []corev1.VolumeMount{
		{Name: leafVolume, MountPath: leafConfigDir, ReadOnly: true},
		{Name: storeVolume, MountPath: leafStoreDir},
		{Name: helperVolume, MountPath: helperDir, ReadOnly: true},
	}
	address := net.JoinHostPort("127.0.0.1", "4222")
	return corev1.Container{
		Name:            v1alpha1.LeafContainer,
		Image:           orDefault(s.NatsLeafImage, orDefault(in.Images.Leaf, DefaultLeafImage)),
		ImagePullPolicy: leafPullPolicy(in.Images),
		Args:            []string{"--config", leafConfigDir + "/" + leafConfigKey, "--name", "$(" + podNameEnv + ")"},
		Env:             []corev1.EnvVar{fieldEnv(podNameEnv, "metadata.name")},
		RestartPolicy:   new(corev1.ContainerRestartPolicyAlways),
		// The host starts after this: it ends at once if it can't reach the buckets of its lattice. A hub that is away
		// for long must not make the leaf restart, so this probe all but never gives up; its message says what is wrong.
		StartupProbe: execProbe(2, 43200, 5, helperPath, "probe", "leaf", "--address", address,
			"--domain", s.JetstreamDomain, "--lattice", s.Lattice),
		// Once up, the leaf is ready while it serves the host: a hub that is away must not take HTTP endpoints away.
		ReadinessProbe:  execProbe(10, 3, 5, helperPath, "probe", "nats", "--address", address),
		SecurityContext: containerSecurity(true),
		Resources:       leafResources(s),
		VolumeMounts:    mounts,
	}
}

func hostContainer(group *v1alpha1.WasmCloudHostConfig, in Inputs) corev1.Container {
	s := &group.Spec
	mounts := []corev1.VolumeMount{
		{Name: tmpVolume, MountPath: tmpDir},
		{Name: helperVolume, MountPath: helperDir, ReadOnly: true},
	}
	for _, a := range in.Authorities {
		mounts = append(mounts, corev1.VolumeMount{Name: "ca-" + a.Name, MountPath: authorityDir(a.Name), ReadOnly: true})
	}
	if in.Registry != nil {
		mounts = append(mounts, corev1.VolumeMount{Name: registryVolume, MountPath: registryDir, ReadOnly: true})
	}
	return corev1.Container{
		Name:            v1alpha1.HostContainer,
		Image:           hostImage(s, in.Images),
		ImagePullPolicy: corev1.PullPolicy(in.Images.PullPolicy),
		Args:            hostArgs(s, in),
		Env:             hostEnv(group, in),
		SecurityContext: containerSecurity(false),
		Resources:       hostResources(s),
		VolumeMounts:    mounts,
	}
}

// hostProbes are added after the user's additions, because a user may have chosen the address.
func hostProbes(c *corev1.Container, admin string) {
	url := "http://" + admin
	if c.StartupProbe == nil {
		c.StartupProbe = execProbe(1, 300, 5, helperPath, "probe", "http", url+"/livez")
	}
	if c.ReadinessProbe == nil {
		c.ReadinessProbe = execProbe(5, 3, 5, helperPath, "probe", "http", url+"/readyz")
	}
}

// hostStop drains the host before it ends. It is added after the user's additions, because a user may have chosen how
// long the pod may take: the last of it is for the host itself, which lets requests end, and for the leaf.
func hostStop(pod *corev1.PodSpec, lattice string) {
	c := &pod.Containers[0]
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
		return
	}
	if c.Lifecycle == nil {
		c.Lifecycle = &corev1.Lifecycle{}
	}
	grace := corev1.DefaultTerminationGracePeriodSeconds * time.Second // where a user took ours away
	if pod.TerminationGracePeriodSeconds != nil {
		grace = time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	}
	timeout := max(grace-endPeriod, grace/2)
	c.Lifecycle.PreStop = &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{
		helperPath, "drain", "--lattice", lattice, "--address", net.JoinHostPort("127.0.0.1", "4222"), "--timeout", timeout.String()}}}
}

func execProbe(period, failures, timeout int32, command ...string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}},
		PeriodSeconds:    period,
		FailureThreshold: failures,
		TimeoutSeconds:   timeout,
	}
}

// hostImage gives an image without tag or digest the version of the group.
func hostImage(s *v1alpha1.WasmCloudHostConfigSpec, images Images) string {
	if s.Image != "" {
		return s.Image
	}
	image := orDefault(images.Host, DefaultHostImage)
	name := image[strings.LastIndex(image, "/")+1:]
	if strings.ContainsAny(name, ":@") {
		return image
	}
	return image + ":" + s.Version
}

func leafPullPolicy(images Images) corev1.PullPolicy {
	return corev1.PullPolicy(orDefault(images.PullPolicy, string(corev1.PullIfNotPresent)))
}

func leafResources(s *v1alpha1.WasmCloudHostConfigSpec) corev1.ResourceRequirements {
	if s.SchedulingOptions == nil || s.SchedulingOptions.Resources == nil || s.SchedulingOptions.Resources.Nats == nil {
		return corev1.ResourceRequirements{}
	}
	return *s.SchedulingOptions.Resources.Nats
}

func hostResources(s *v1alpha1.WasmCloudHostConfigSpec) corev1.ResourceRequirements {
	if s.SchedulingOptions == nil || s.SchedulingOptions.Resources == nil || s.SchedulingOptions.Resources.Wasmcloud == nil {
		return corev1.ResourceRequirements{}
	}
	return *s.SchedulingOptions.Resources.Wasmcloud
}
