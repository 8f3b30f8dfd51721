package hostgroup

import "github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"

// Inputs is everything outside the host group that its objects depend on.
type Inputs struct {
	Images Images
	// LeafURLs are the addresses of the hub for the leaf, with port.
	LeafURLs []string
	// CredentialsSecret is the Secret whose key nats.creds the leaf logs in with; empty means none.
	CredentialsSecret string
	// RemoteSecret is the Secret whose key remote.conf holds addresses and login of the leaf; empty means none.
	RemoteSecret string
	// Authorities are the certificate authorities with the keys found in them.
	Authorities []Authority
	// Registry is how hosts log in to registries; nil means not at all.
	Registry *Registry
	// SecretsTopic is the subject prefix of secrets of a group that names none; empty means none.
	SecretsTopic string
	// Autoscaled is the number of replicas where an autoscaler of the Deployment owns it; nil means that none does.
	Autoscaled *int32
	// Digest covers the content of every Secret and ConfigMap above, so that a change rolls the pods.
	Digest string
}

// Authority is a certificate authority of the spec and the keys that hold certificates.
type Authority struct {
	v1alpha1.CertificateAuthority
	Keys []string
}

// Registry is how hosts log in to registries.
type Registry struct {
	// ConfigSecret is the user's Secret of type kubernetes.io/dockerconfigjson.
	ConfigSecret string
	// LoginSecret holds registry, username and password of the only entry, for hosts that know one registry; empty when
	// there are several.
	LoginSecret string
}

// Keys of the Secret that Registry.LoginSecret names.
const (
	loginRegistry = "registry"
	loginUser     = "username"
	loginPassword = "password"
)
