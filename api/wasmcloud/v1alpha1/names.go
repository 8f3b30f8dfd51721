package v1alpha1

// Names that users and other programs depend on. Those of wasmCloud's own operator are kept.
const (
	// GroupName is the API group.
	GroupName = "k8s.wasmcloud.dev"
	// Version is the served version.
	Version = "v1alpha1"
	// Kind of a host group.
	Kind = "WasmCloudHostConfig"

	// FieldManager owns the fields of every object of a host group and of EndpointSlices; it is also the finalizer that
	// wasmCloud's operator set on host groups. Trellis sets no finalizer and removes that one.
	FieldManager = "operator.k8s.wasmcloud.dev/wasmcloud-host-config"
	// ServiceFieldManager owns the fields of reflected Services; it is also the finalizer on them, as in wasmCloud's
	// operator.
	ServiceFieldManager = "operator.k8s.wasmcloud.dev/service"

	// AdoptAnnotation with the value AdoptRoll on a host group that wasmCloud's operator made says: give the pods the
	// template of Trellis now.
	AdoptAnnotation = "k8s.wasmcloud.dev/adopt"
	// AdoptRoll is the only value of AdoptAnnotation.
	AdoptRoll = "roll"
	// AppliedAnnotation marks objects that Trellis applied; its value is a digest of them.
	AppliedAnnotation = "k8s.wasmcloud.dev/applied"
	// ChecksumAnnotation on a pod holds the digest of configuration and credentials, so that a change rolls the pods.
	ChecksumAnnotation = "k8s.wasmcloud.dev/config-checksum"

	// AppNameLabel, InstanceLabel and ManagedByLabel are the labels of pods, workloads and Services.
	AppNameLabel   = "app.kubernetes.io/name"
	InstanceLabel  = "app.kubernetes.io/instance"
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// AppName is the value of AppNameLabel on pods and workloads of host groups.
	AppName = "wasmcloud"
	// ManagedBy is the value of ManagedByLabel; ManagedByOld is what operators up to 0.5.0 wrote.
	ManagedBy    = "wadm-operator"
	ManagedByOld = "wasmcloud-operator"
	// HostLabelPrefix precedes the name of a host label on a pod.
	HostLabelPrefix = "host-label.k8s.wasmcloud.dev/"

	// HostContainer and LeafContainer are the names of the containers of a host pod; HelperContainer is the init
	// container that brings the helper.
	HostContainer   = "wasmcloud-host"
	LeafContainer   = "nats-leaf"
	HelperContainer = "trellis-helper"

	// CredentialsKey is the key of a NATS credentials file in a Secret.
	CredentialsKey = "nats.creds"
	// UserJWTKey and UserSeedKey are the keys of a user's JWT and nkey seed in a Secret.
	UserJWTKey  = "user.jwt"
	UserSeedKey = "user.nk"
)

// Labels that a host carries in its lattice, set from the pod by the downward API: the join between hosts and pods.
const (
	HostLabelPodName   = "kubernetes_pod_name"
	HostLabelPodUID    = "kubernetes_pod_uid"
	HostLabelNamespace = "kubernetes_namespace"
	HostLabelNode      = "kubernetes_node_name"
)
