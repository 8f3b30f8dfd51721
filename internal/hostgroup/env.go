package hostgroup

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

const labelEnvPrefix = "WASMCLOUD_LABEL_"

// podLabels are the host labels that the downward API fills: the join between hosts and pods.
var podLabels = []struct{ label, field string }{
	{v1alpha1.HostLabelPodName, "metadata.name"},
	{v1alpha1.HostLabelPodUID, "metadata.uid"},
	{v1alpha1.HostLabelNamespace, "metadata.namespace"},
	{v1alpha1.HostLabelNode, "spec.nodeName"},
}

// hostEnv returns the environment of the host, in the order of wasmCloud's operator, then what Trellis adds.
func hostEnv(group *v1alpha1.WasmCloudHostConfig, in Inputs) []corev1.EnvVar {
	s := &group.Spec
	structured := s.EnableStructuredLogging == nil || *s.EnableStructuredLogging
	env := []corev1.EnvVar{
		{Name: "WASMCLOUD_STRUCTURED_LOGGING_ENABLED", Value: strconv.FormatBool(structured)},
		{Name: "WASMCLOUD_LOG_LEVEL", Value: orDefault(s.LogLevel, "INFO")},
	}
	if s.JetstreamDomain != "" { // hosts take an unset domain, but not an empty one
		env = append(env, corev1.EnvVar{Name: "WASMCLOUD_JS_DOMAIN", Value: s.JetstreamDomain})
	}
	env = append(env,
		corev1.EnvVar{Name: "WASMCLOUD_LATTICE", Value: s.Lattice},
		corev1.EnvVar{Name: "WASMCLOUD_LATTICE_PREFIX", Value: s.Lattice},
		corev1.EnvVar{Name: "WASMCLOUD_NATS_HOST", Value: "127.0.0.1"},
		corev1.EnvVar{Name: "WASMCLOUD_NATS_PORT", Value: strconv.Itoa(LeafPort)},
		corev1.EnvVar{Name: "WASMCLOUD_RPC_TIMEOUT_MS", Value: "4000"},
		corev1.EnvVar{Name: labelEnvPrefix + "kubernetes", Value: "true"},
	)
	env = append(env, optionalEnv(s, in.Images.Mirrors)...)
	env = append(env, labelEnv(s.HostLabels)...)
	if topic := orDefault(s.SecretsTopicPrefix, in.SecretsTopic); topic != "" {
		env = append(env, corev1.EnvVar{Name: "WASMCLOUD_SECRETS_TOPIC", Value: topic})
	}
	env = append(env, limitsEnv(s)...)
	env = append(env, registryEnv(in.Registry)...)
	return append(env, addedEnv(in)...)
}

// limitsEnv leaves to the host what the user leaves open.
func limitsEnv(s *v1alpha1.WasmCloudHostConfigSpec) []corev1.EnvVar {
	var env []corev1.EnvVar
	for _, limit := range []struct {
		name  string
		value *int64
	}{
		{"WASMCLOUD_MAX_LINEAR_MEMORY", s.MaxLinearMemoryBytes},
		{"WASMCLOUD_MAX_EXECUTION_TIME_MS", s.MaxExecutionTimeMs},
		{"WASMCLOUD_MAX_COMPONENT_SIZE", s.MaxComponentSizeBytes},
		{"WASMCLOUD_MAX_COMPONENTS", s.MaxComponents},
		{"WASMCLOUD_MAX_CORE_INSTANCES_PER_COMPONENT", s.MaxCoreInstancesPerComponent},
		{"WASMCLOUD_HEARTBEAT_INTERVAL", s.HeartbeatIntervalSeconds},
	} {
		if limit.value != nil {
			env = append(env, corev1.EnvVar{Name: limit.name, Value: strconv.FormatInt(*limit.value, 10)})
		}
	}
	if len(s.Features) > 0 {
		env = append(env, corev1.EnvVar{Name: "WASMCLOUD_EXPERIMENTAL_FEATURES", Value: strings.Join(s.Features, ",")})
	}
	return env
}

func optionalEnv(s *v1alpha1.WasmCloudHostConfigSpec, mirrors []Mirror) []corev1.EnvVar {
	var env []corev1.EnvVar
	add := func(on bool, name, value string) {
		if on {
			env = append(env, corev1.EnvVar{Name: name, Value: value})
		}
	}
	add(s.ControlTopicPrefix != "", "WASMCLOUD_CTL_TOPIC_PREFIX", s.ControlTopicPrefix)
	add(s.ConfigServiceEnabled, "WASMCLOUD_CONFIG_SERVICE", "true")
	add(s.AllowLatest, "WASMCLOUD_OCI_ALLOW_LATEST", "true")
	insecure := allowedInsecure(s.AllowedInsecure, mirrors)
	add(s.AllowedInsecure != nil || len(insecure) > 0, "WASMCLOUD_OCI_ALLOWED_INSECURE", strings.Join(insecure, ","))
	if p := s.PolicyService; p != nil {
		add(p.Topic != "", "WASMCLOUD_POLICY_TOPIC", p.Topic)
		add(p.ChangesTopic != "", "WASMCLOUD_POLICY_CHANGES_TOPIC", p.ChangesTopic)
		if p.TimeoutMs != nil {
			add(true, "WASMCLOUD_POLICY_TIMEOUT", strconv.FormatInt(*p.TimeoutMs, 10))
		}
	}
	return env
}

// allowedInsecure is what the user allowed plus the registries of insecure mirrors.
func allowedInsecure(allowed []string, mirrors []Mirror) []string {
	out := slices.Clone(allowed)
	for _, m := range mirrors {
		registry, _, _ := strings.Cut(m.Target, "/")
		if m.Insecure && !slices.Contains(out, registry) {
			out = append(out, registry)
		}
	}
	return out
}

// labelEnv passes host labels whose key may be part of a variable's name; labelArgs passes the others.
func labelEnv(labels map[string]string) []corev1.EnvVar {
	var env []corev1.EnvVar
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if isEnvName(key) && !reservedLabel(key) {
			env = append(env, corev1.EnvVar{Name: labelEnvPrefix + key, Value: literal(labels[key])})
		}
	}
	return env
}

func labelArgs(labels map[string]string) []string {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !isEnvName(key) {
			args = append(args, "--label", literal(key+"="+labels[key]))
		}
	}
	return args
}

// literal keeps Kubernetes from expanding $(NAME) in a user's value.
func literal(value string) string { return strings.ReplaceAll(value, "$(", "$$(") }

// reservedLabel says whether Trellis sets the label itself.
func reservedLabel(key string) bool {
	if key == "kubernetes" {
		return true
	}
	for _, l := range podLabels {
		if l.label == key {
			return true
		}
	}
	return false
}

func registryEnv(registry *Registry) []corev1.EnvVar {
	if registry == nil {
		return nil
	}
	env := []corev1.EnvVar{{Name: "DOCKER_CONFIG", Value: registryDir}}
	if registry.LoginSecret == "" {
		return env
	}
	for _, v := range []struct{ name, key string }{
		{"WASMCLOUD_OCI_REGISTRY_USER", loginUser},
		{"WASMCLOUD_OCI_REGISTRY_PASSWORD", loginPassword},
		{"WASMCLOUD_OCI_REGISTRY", loginRegistry},
	} {
		env = append(env, corev1.EnvVar{Name: v.name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: registry.LoginSecret}, Key: v.key}}})
	}
	return env
}

func addedEnv(in Inputs) []corev1.EnvVar {
	env := []corev1.EnvVar{{Name: adminEnv, Value: AdminAddress}}
	if len(in.Images.Mirrors) > 0 {
		var list []string
		for _, m := range in.Images.Mirrors {
			list = append(list, m.Prefix+"="+m.Target)
		}
		env = append(env, corev1.EnvVar{Name: "TRELLIS_OCI_MIRRORS", Value: strings.Join(list, ",")})
	}
	for _, l := range podLabels {
		env = append(env, fieldEnv(labelEnvPrefix+l.label, l.field))
	}
	return env
}

func fieldEnv(name, field string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: field}}}
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
