package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// WasmCloudHostConfigSpec says which lattice the hosts join and how their pods look.
//
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || !has(self.nats.addresses) || size(self.nats.addresses) == 0 || !has(self.natsAddress) || size(self.natsAddress) == 0",message="natsAddress and nats.addresses both say where the hub is; move natsAddress into nats.addresses"
// +kubebuilder:validation:XValidation:rule="!has(self.certificates) || !has(self.certificates.authorities) || self.certificates.authorities.all(a, has(a.secret) != has(a.configMap))",message="each entry of certificates.authorities needs exactly one of secret and configMap; remove the other or add one"
type WasmCloudHostConfigSpec struct {
	// lattice is the name of the lattice that the hosts join. It is one NATS token: letters, digits, '-' and '_'.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="a lattice name is one NATS token; use only letters, digits, '-' and '_' (no dots, spaces or wildcards)"
	Lattice string `json:"lattice"`
	// version of the wasmCloud host: the tag of the host image where image names none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Version string `json:"version"`
	// hostReplicas is the number of hosts; without effect on a DaemonSet. Default: 1.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +optional
	HostReplicas *int32 `json:"hostReplicas,omitempty"`
	// hostLabels are labels of the hosts in the lattice, which placement rules of applications refer to. Each also
	// becomes the pod label `host-label.k8s.wasmcloud.dev/<key>`, so key and value must be legal there.
	// +optional
	HostLabels map[string]string `json:"hostLabels,omitempty"`
	// image of the host. Default: the operator's setting hosts.image, else `ghcr.io/wasmcloud/wasmcloud:<version>`.
	// +optional
	Image string `json:"image,omitempty"`
	// natsLeafImage is the image of the NATS leaf. Default: the operator's setting hosts.leafImage, else
	// `nats:2.12-alpine`.
	// +optional
	NatsLeafImage string `json:"natsLeafImage,omitempty"`
	// secretName is a Secret of this namespace with which the leaf, and Trellis itself, log in to the hub. Its keys say
	// how: `nats.creds` is a credentials file, `user.jwt` with `user.nk` a JWT and its seed, `user.nk` alone an nkey seed,
	// `username` with `password` a user. The first of these that is there counts. Default: for lattices of the NATS that
	// Trellis installed, a Secret that Trellis makes; otherwise none.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// natsAddress is the address of the NATS hub without port, such as `nats://nats.default.svc.cluster.local`. Default:
	// the NATS that Trellis installed if it knows the lattice, else `nats://nats.default.svc.cluster.local`.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.matches('[ \"]') && !self.matches('[^/:]:[0-9]+/?$')",message="natsAddress is a URL without port, such as nats://nats.default.svc.cluster.local; ports go into natsClientPort and natsLeafnodePort"
	// +optional
	NatsAddress string `json:"natsAddress,omitempty"`
	// nats says more about the hub, about the leaf's own storage, and about what applications need in NATS.
	// +optional
	NATS *NATS `json:"nats,omitempty"`
	// natsClientPort is the port of the hub for clients. Default: 4222.
	// +kubebuilder:default=4222
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	NatsClientPort int32 `json:"natsClientPort,omitempty"`
	// natsLeafnodePort is the port of the hub for leaves. Default: 7422.
	// +kubebuilder:default=7422
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	NatsLeafnodePort int32 `json:"natsLeafnodePort,omitempty"`
	// leafNodeDomain is the JetStream domain of the leaf. Default: leaf.
	// +kubebuilder:default=leaf
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]*$`
	// +optional
	LeafNodeDomain string `json:"leafNodeDomain,omitempty"`
	// jetstreamDomain is the JetStream domain of the hub, where the lattice keeps its data. Default: default.
	// +kubebuilder:default=default
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]*$`
	// +optional
	JetstreamDomain string `json:"jetstreamDomain,omitempty"`
	// enableStructuredLogging makes the host log JSON. Default: true.
	// +optional
	EnableStructuredLogging *bool `json:"enableStructuredLogging,omitempty"`
	// logLevel of the host: ERROR, WARN, INFO, DEBUG or TRACE. Default: INFO.
	// +kubebuilder:default=INFO
	// +optional
	LogLevel string `json:"logLevel,omitempty"`
	// registryCredentialsSecret is a Secret of this namespace of type kubernetes.io/dockerconfigjson with which the
	// hosts pull components and providers. It is not a pull secret of the pods.
	// +optional
	RegistryCredentialsSecret string `json:"registryCredentialsSecret,omitempty"`
	// controlTopicPrefix replaces the prefix `wasmbus.ctl` of control subjects.
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]+$')",message="controlTopicPrefix is a NATS subject without wildcards, such as wasmbus.ctl"
	// +optional
	ControlTopicPrefix string `json:"controlTopicPrefix,omitempty"`
	// configServiceEnabled makes hosts ask a configuration service at their start. Default: false.
	// +kubebuilder:default=false
	// +optional
	ConfigServiceEnabled bool `json:"configServiceEnabled,omitempty"`
	// allowLatest allows image references that end in `:latest`. Default: false.
	// +kubebuilder:default=false
	// +optional
	AllowLatest bool `json:"allowLatest,omitempty"`
	// allowedInsecure lists registries (`host[:port]`) that the hosts may reach without TLS.
	// +listType=atomic
	// +optional
	AllowedInsecure []string `json:"allowedInsecure,omitempty"`
	// policyService is asked before components and providers start and before they are called.
	// +optional
	PolicyService *PolicyService `json:"policyService,omitempty"`
	// schedulingOptions say how the pods run.
	// +optional
	SchedulingOptions *SchedulingOptions `json:"schedulingOptions,omitempty"`
	// observability sends traces, metrics and logs of the hosts to an OpenTelemetry collector.
	// +optional
	Observability *Observability `json:"observability,omitempty"`
	// certificates are further certificate authorities for registries and collectors.
	// +optional
	Certificates *Certificates `json:"certificates,omitempty"`
	// secretsTopicPrefix is the subject prefix of secrets backends, such as `wasmcloud.secrets`.
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]+$')",message="secretsTopicPrefix is a NATS subject without wildcards, such as wasmcloud.secrets"
	// +optional
	SecretsTopicPrefix string `json:"secretsTopicPrefix,omitempty"`
	// maxLinearMemoryBytes limits the memory of one component instance.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +optional
	MaxLinearMemoryBytes *int64 `json:"maxLinearMemoryBytes,omitempty"`
	// maxExecutionTimeMs limits one call of a component, in milliseconds; hosts count in whole seconds. Default: that of
	// the host, 600000.
	// +kubebuilder:validation:Minimum=1000
	// +kubebuilder:validation:Maximum=86400000
	// +optional
	MaxExecutionTimeMs *int64 `json:"maxExecutionTimeMs,omitempty"`
	// maxComponentSizeBytes limits the size of a component. Default: that of the host, 52428800.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +optional
	MaxComponentSizeBytes *int64 `json:"maxComponentSizeBytes,omitempty"`
	// maxComponents limits the number of components on one host. Default: that of the host, 10000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	MaxComponents *int64 `json:"maxComponents,omitempty"`
	// maxCoreInstancesPerComponent limits the core modules within one component. Default: that of the host, 30.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	MaxCoreInstancesPerComponent *int64 `json:"maxCoreInstancesPerComponent,omitempty"`
	// heartbeatIntervalSeconds is the pause between two heartbeats of a host. Default: that of the host, 30, which is also
	// the longest that is allowed: Trellis asks after hosts that are silent for longer.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=30
	// +optional
	HeartbeatIntervalSeconds *int64 `json:"heartbeatIntervalSeconds,omitempty"`
	// features are experimental features of the host that are switched on.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Enum=builtin-http-client;builtin-http-server;builtin-messaging-nats;wasmcloud-messaging-v3;workload-identity-auth;workload-identity-interface;rpc-interface
	// +optional
	Features []string `json:"features,omitempty"`
	// issuers is deprecated and ignored.
	// +listType=atomic
	// +optional
	Issuers []string `json:"issuers,omitempty"`
}

// PolicyService is asked before components and providers start and before they are called.
//
// +kubebuilder:validation:XValidation:rule="(has(self.topic) && size(self.topic) > 0) || (!has(self.changesTopic) && !has(self.timeoutMs))",message="policyService.changesTopic and policyService.timeoutMs need policyService.topic; set it or remove them"
type PolicyService struct {
	// topic that policy requests are published on.
	// +optional
	Topic string `json:"topic,omitempty"`
	// timeoutMs is how long the host waits for an answer, in milliseconds.
	// +kubebuilder:validation:Minimum=0
	// +optional
	TimeoutMs *int64 `json:"timeoutMs,omitempty"`
	// changesTopic that later changes of an answer are published on.
	// +optional
	ChangesTopic string `json:"changesTopic,omitempty"`
}

// SchedulingOptions say how the pods run.
type SchedulingOptions struct {
	// daemonset runs one host on every node instead of hostReplicas hosts. Default: false.
	// +kubebuilder:default=false
	// +optional
	Daemonset bool `json:"daemonset,omitempty"`
	// resources of the two containers.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
	// podLabels are further labels of the pods. Those by which Trellis finds its pods can't be set.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/managed-by']) && !k.startsWith('host-label.k8s.wasmcloud.dev/'))",message="podLabels sets a label that Trellis sets: remove app.kubernetes.io/name, /instance and /managed-by, and write host-label.k8s.wasmcloud.dev/ labels into hostLabels"
	// +optional
	PodLabels map[string]string `json:"podLabels,omitempty"`
	// podAnnotations are further annotations of the pods.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!('k8s.wasmcloud.dev/config-checksum' in self)",message="podAnnotations sets k8s.wasmcloud.dev/config-checksum, which Trellis sets: remove it"
	// +optional
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`
	// rollout says how many pods may be missing or surplus while pods are replaced. Default: that of Kubernetes.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`
	// podDisruptionBudget says how many pods the drain of a node may take away at once; without effect on a DaemonSet.
	// +optional
	PodDisruptionBudget *PodDisruptionBudget `json:"podDisruptionBudget,omitempty"`
	// podTemplateAdditions is a PodSpec (not a template: no `spec:` within) that is merged into that of the pods;
	// `containers` is ignored. What Trellis does not know of is handed to Kubernetes as it stands.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	PodTemplateAdditions *apiextensionsv1.JSON `json:"podTemplateAdditions,omitempty"`
	// containerTemplateAdditions are merged into the two containers.
	// +optional
	ContainerTemplateAdditions *ContainerTemplateAdditions `json:"containerTemplateAdditions,omitempty"`
}

// Rollout says how pods are replaced, as numbers or percentages of the wanted pods.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxUnavailable) && has(self.maxSurge) && string(self.maxUnavailable) in ['0', '0%'] && string(self.maxSurge) in ['0', '0%'])",message="rollout.maxUnavailable and rollout.maxSurge are both 0, so no pod could ever be replaced; raise one"
type Rollout struct {
	// maxUnavailable is how many of the wanted pods may be missing. Default: 25% of a Deployment; of a DaemonSet 1, or 0
	// where maxSurge is set.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')",message="rollout.maxUnavailable is a number from 0 or a percentage such as 25%"
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// maxSurge is how many pods more than wanted may run. Default: 25% of a Deployment, 0 of a DaemonSet.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')",message="rollout.maxSurge is a number from 0 or a percentage such as 25%"
	// +optional
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`
}

// PodDisruptionBudget limits what the drain of nodes takes away.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.minAvailable) && has(self.maxUnavailable))",message="podDisruptionBudget takes one of minAvailable and maxUnavailable; remove the other"
// +kubebuilder:validation:XValidation:rule="!has(self.enabled) || self.enabled || !(has(self.minAvailable) || has(self.maxUnavailable))",message="podDisruptionBudget.enabled is false, so minAvailable and maxUnavailable have no effect; remove them or enabled"
type PodDisruptionBudget struct {
	// enabled: false leaves the group without a budget, true gives one even to a single host. Default: there is one where
	// more than one host is wanted.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// maxUnavailable is how many pods may be taken away at once. Default: 1.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')",message="podDisruptionBudget.maxUnavailable is a number from 0 or a percentage such as 25%"
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// minAvailable is how many pods must stay, instead of maxUnavailable.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')",message="podDisruptionBudget.minAvailable is a number from 0 or a percentage such as 25%"
	// +optional
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`
}

// Resources of the two containers.
type Resources struct {
	// nats is for the container nats-leaf.
	// +optional
	Nats *corev1.ResourceRequirements `json:"nats,omitempty"`
	// wasmcloud is for the container wasmcloud-host.
	// +optional
	Wasmcloud *corev1.ResourceRequirements `json:"wasmcloud,omitempty"`
}

// ContainerTemplateAdditions are Containers (no field is required) that are merged into those of the pods.
type ContainerTemplateAdditions struct {
	// nats is merged into the container nats-leaf.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Nats *apiextensionsv1.JSON `json:"nats,omitempty"`
	// wasmcloud is merged into the container wasmcloud-host.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Wasmcloud *apiextensionsv1.JSON `json:"wasmcloud,omitempty"`
}

// Observability sends traces, metrics and logs to an OpenTelemetry collector.
type Observability struct {
	// enable sends traces, metrics and logs. The switches of the single signals are then without effect. Default: false.
	// +kubebuilder:default=false
	// +optional
	Enable bool `json:"enable,omitempty"`
	// endpoint of the collector, such as http://otel-collector:4318.
	Endpoint string `json:"endpoint"`
	// protocol spoken with the collector: grpc or http. Default: http.
	// +kubebuilder:validation:Enum=grpc;http
	// +optional
	Protocol string `json:"protocol,omitempty"`
	// logs has settings for logs alone.
	// +optional
	Logs *Signal `json:"logs,omitempty"`
	// metrics has settings for metrics alone.
	// +optional
	Metrics *Signal `json:"metrics,omitempty"`
	// traces has settings for traces alone.
	// +optional
	Traces *Signal `json:"traces,omitempty"`
}

// Signal has settings for one kind of telemetry.
type Signal struct {
	// enable sends this signal. Default: false.
	// +optional
	Enable bool `json:"enable,omitempty"`
	// endpoint for this signal alone. Default: that of all signals.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
}

// Certificates are further certificate authorities.
type Certificates struct {
	// authorities are Secrets or ConfigMaps of this namespace; every key that ends in `.crt` is trusted.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Authorities []CertificateAuthority `json:"authorities,omitempty"`
}

// CertificateAuthority is a volume with certificates, from a Secret or a ConfigMap.
type CertificateAuthority struct {
	// name of the volume, unique in the list.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=60
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// secret that holds the certificates.
	// +optional
	Secret *SecretAuthority `json:"secret,omitempty"`
	// configMap that holds the certificates.
	// +optional
	ConfigMap *ConfigMapAuthority `json:"configMap,omitempty"`
}

// SecretAuthority names a Secret with certificates.
type SecretAuthority struct {
	// secretName is the name of the Secret.
	// +kubebuilder:validation:MinLength=1
	SecretName string `json:"secretName"`
}

// ConfigMapAuthority names a ConfigMap with certificates.
type ConfigMapAuthority struct {
	// name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}
