package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// NATS says more about the hub, about the leaf's own storage, and about what applications need in NATS.
type NATS struct {
	// addresses of the servers of one hub, each without port, instead of natsAddress. Leaf and operator use whichever
	// answers.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.all(a, a.matches('^(nats|tls|ws|wss)://[^ \"@]+$') && !a.matches('[^/:]:[0-9]+/?$'))",message="each of nats.addresses is a URL without port and login, such as tls://nats-1.example.com; ports go into natsClientPort and natsLeafnodePort, the login into the Secret of secretName"
	// +optional
	Addresses []string `json:"addresses,omitempty"`
	// tls makes leaf and operator speak TLS with the hub, also where an address begins with nats://.
	// +optional
	TLS *NATSTLS `json:"tls,omitempty"`
	// leafStorage is where the leaf keeps JetStream data of its own, and how much. What the lattice keeps is in the hub.
	// +optional
	LeafStorage *LeafStorage `json:"leafStorage,omitempty"`
	// publish lists subjects that applications on these hosts publish to, beside those that every host may, such as
	// `orders.>`. It counts where Trellis makes the credentials. Default: none.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.all(s, s.matches('^[!-)+,/-=?-~-]+([.]([!-)+,/-=?-~-]+|[*]))*([.]>)?$') && !s.startsWith('$'))",message="each of nats.publish is a NATS subject that begins with a word, such as orders.>; not *, > or $"
	// +kubebuilder:validation:XValidation:rule="!self.exists(s, s.matches('^(wasmcloud[.](secrets([.]|$)|[*]|>)|wasmbus[.](ctl([.]|$)|[*]|>)|wadm([.]|$))'))",message="nats.publish reaches subjects of secrets (wasmcloud.secrets), of commands (wasmbus.ctl) or of wadm, which are kept from host groups; name narrower ones, or log in with credentials of your own (secretName)"
	// +optional
	Publish []string `json:"publish,omitempty"`
	// subscribe lists subjects that applications on these hosts subscribe to, beside those that every host may. It counts
	// where Trellis makes the credentials. Default: none.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.all(s, s.matches('^[!-)+,/-=?-~-]+([.]([!-)+,/-=?-~-]+|[*]))*([.]>)?$') && !s.startsWith('$'))",message="each of nats.subscribe is a NATS subject that begins with a word, such as orders.>; not *, > or $"
	// +kubebuilder:validation:XValidation:rule="!self.exists(s, s.matches('^(wasmcloud[.](secrets([.]|$)|[*]|>)|wasmbus[.](ctl([.]|$)|[*]|>)|wadm([.]|$))'))",message="nats.subscribe reaches subjects of secrets (wasmcloud.secrets), of commands (wasmbus.ctl) or of wadm, which are kept from host groups; name narrower ones, or log in with credentials of your own (secretName)"
	// +optional
	Subscribe []string `json:"subscribe,omitempty"`
	// buckets lists KV buckets in the hub that applications on these hosts read and write; they must exist. It counts where
	// Trellis makes the credentials. Default: none.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=200
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9_-]+$`
	// +kubebuilder:validation:XValidation:rule="!self.exists(b, b.matches('^(LATTICEDATA_|CONFIGDATA_|TRELLIS|wadm_)'))",message="nats.buckets names a bucket of the lattice, of Trellis or of wadm, which is not given to applications; remove it"
	// +optional
	Buckets []string `json:"buckets,omitempty"`
}

// NATSTLS says whom leaf and operator trust, and who they are. Certificates are always checked.
type NATSTLS struct {
	// certificateAuthority is what the hub's certificate is checked against. Default: the authorities of the images.
	// +optional
	CertificateAuthority *HubAuthority `json:"certificateAuthority,omitempty"`
	// certificateSecret is a Secret of type kubernetes.io/tls in this namespace with the certificate that is shown to the
	// hub (keys tls.crt and tls.key). Default: none is shown.
	// +optional
	CertificateSecret string `json:"certificateSecret,omitempty"`
}

// HubAuthority is a certificate authority from a Secret or a ConfigMap of this namespace.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretName) != has(self.configMapName)",message="nats.tls.certificateAuthority needs exactly one of secretName and configMapName; remove the other or add one"
type HubAuthority struct {
	// secretName is the Secret that holds the certificates.
	// +kubebuilder:validation:MinLength=1
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// configMapName is the ConfigMap that holds the certificates.
	// +kubebuilder:validation:MinLength=1
	// +optional
	ConfigMapName string `json:"configMapName,omitempty"`
	// key that holds the certificates, as PEM. Default: ca.crt.
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MinLength=1
	// +optional
	Key string `json:"key,omitempty"`
}

// LeafStorage is where the leaf keeps JetStream data of its own, and how much.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.sizeLimit) && has(self.volumeClaim))",message="nats.leafStorage.sizeLimit is of the emptyDir that nats.leafStorage.volumeClaim replaces; remove one"
type LeafStorage struct {
	// sizeLimit of the emptyDir; a pod that exceeds it is evicted. Default: none.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
	// volumeClaim gives each pod a volume of its own instead, which goes with the pod. accessModes: ReadWriteOnce where
	// none are given.
	// +optional
	VolumeClaim *corev1.PersistentVolumeClaimSpec `json:"volumeClaim,omitempty"`
	// maxMemoryStore is what JetStream may keep in memory. Default: decided by NATS.
	// +optional
	MaxMemoryStore *resource.Quantity `json:"maxMemoryStore,omitempty"`
	// maxFileStore is what JetStream may keep on disk. Default: sizeLimit or the size of volumeClaim, else decided by NATS.
	// +optional
	MaxFileStore *resource.Quantity `json:"maxFileStore,omitempty"`
}
