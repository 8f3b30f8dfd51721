package hostgroup

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

const (
	leafConfigKey = "nats.conf"
	leafConfigDir = "/nats"
	leafStoreDir  = "/data"

	// remoteKey is the part of the configuration that holds a login; the others are files of TLS.
	remoteKey       = "remote.conf"
	hubCAFile       = "hub-ca.crt"
	hubCertFile     = "hub-tls.crt"
	hubKeyFile      = "hub-tls.key"
	hubAuthorityKey = "ca.crt"
)

// LeafConfig renders the configuration of the leaf. The paths are those of wasmCloud's operator, so that a pod of the
// old template that restarts during a take-over can use it as well.
func LeafConfig(spec *v1alpha1.WasmCloudHostConfigSpec, in Inputs) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by Trellis from the WasmCloudHostConfig; changes are overwritten.\n")
	fmt.Fprintf(&b, "# Only the containers of this pod reach the leaf: whoever reaches it has the rights of this host group in the lattice.\n")
	fmt.Fprintf(&b, "listen: \"127.0.0.1:%d\"\n", LeafPort)
	fmt.Fprintf(&b, "jetstream {\n  domain: %s\n  store_dir: %s\n%s}\n", quote(leafDomain(spec)), quote(leafStoreDir), storeLimits(spec.NATS))
	fmt.Fprintf(&b, "leafnodes {\n  remotes: [\n    {\n")
	if in.RemoteSecret != "" {
		fmt.Fprintf(&b, "      include %s\n", quote(remoteKey)) // address and login
	} else {
		fmt.Fprintf(&b, "      %s", leafURLs(in.LeafURLs))
	}
	if in.CredentialsSecret != "" {
		fmt.Fprintf(&b, "      credentials: %s\n", quote(leafConfigDir+"/"+v1alpha1.CredentialsKey))
	}
	b.WriteString(hubTLS(spec.NATS))
	fmt.Fprintf(&b, "    }\n  ]\n}\n")
	return b.String()
}

// storeLimits keeps JetStream within its volume: by default it takes three quarters of the node's disk.
func storeLimits(nats *v1alpha1.NATS) string {
	if nats == nil || nats.LeafStorage == nil {
		return ""
	}
	s := nats.LeafStorage
	out := ""
	if s.MaxMemoryStore != nil {
		out += fmt.Sprintf("  max_memory_store: %d\n", s.MaxMemoryStore.Value())
	}
	if file := fileLimit(s); file != nil {
		out += fmt.Sprintf("  max_file_store: %d\n", file.Value())
	}
	return out
}

func fileLimit(s *v1alpha1.LeafStorage) *resource.Quantity {
	if s.MaxFileStore != nil || s.VolumeClaim == nil {
		return cmp.Or(s.MaxFileStore, s.SizeLimit)
	}
	if size, found := s.VolumeClaim.Resources.Requests[corev1.ResourceStorage]; found {
		return &size
	}
	return nil
}

func hubTLS(nats *v1alpha1.NATS) string {
	if nats == nil || nats.TLS == nil {
		return ""
	}
	out := "      tls {\n"
	file := func(option, name string) {
		out += fmt.Sprintf("        %s: %s\n", option, quote(leafConfigDir+"/"+name))
	}
	if nats.TLS.CertificateAuthority != nil {
		file("ca_file", hubCAFile)
	}
	if nats.TLS.CertificateSecret != "" {
		file("cert_file", hubCertFile)
		file("key_file", hubKeyFile)
	}
	return out + "      }\n"
}

func leafDomain(spec *v1alpha1.WasmCloudHostConfigSpec) string {
	if spec.LeafNodeDomain == "" {
		return "leaf"
	}
	return spec.LeafNodeDomain
}

// quote makes a string of NATS's configuration language, in which a value without quotes may be a variable or a number.
// Quotes and control characters are refused by validate, so a backslash is all that has to be escaped.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `\`, `\\`) + `"` }
