package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// WasmCloudHostConfigSpec says which lattice the hosts join and how their pods look.
//
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
	// secretName is a Secret of this namespace whose key `nats.creds` holds the NATS credentials file for the leaf.
	// Default: for lattices of the NATS that Trellis installed, a Secret that Trellis makes; otherwise none.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// natsAddress is the address of the NATS hub without port, such as `nats://nats.default.svc.cluster.local`. Default:
	// the NATS that Trellis installed if it knows the lattice, else `nats://nats.default.svc.cluster.local`.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.matches('[ \"]') && !self.matches('[^/:]:[0-9]+/?$')",message="natsAddress is a URL without port, such as nats://nats.default.svc.cluster.local; ports go into natsClientPort and natsLeafnodePort"
	// +optional
	NatsAddress string `json:"natsAddress,omitempty"`
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
