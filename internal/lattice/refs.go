package lattice

import "strings"

// BuiltinScheme begins references of providers that are part of the host.
const BuiltinScheme = "wasmcloud+builtin://"

// References of the builtin providers.
const (
	BuiltinHTTPServer    = BuiltinScheme + "http-server"
	BuiltinHTTPClient    = BuiltinScheme + "http-client"
	BuiltinMessagingNATS = BuiltinScheme + "messaging-nats"
)

var providerSchemes = []string{BuiltinScheme, "oci://", "http://", "https://", "file://"}

// NormalizeProviderRef removes the scheme of a provider's reference, as hosts do in inventories and in
// provider_started. Compare providers in this form; components keep their reference as requested.
func NormalizeProviderRef(ref string) string {
	for _, scheme := range providerSchemes {
		if rest, ok := strings.CutPrefix(ref, scheme); ok {
			return rest
		}
	}
	return ref
}

// IsBuiltin says whether a provider's reference names a part of the host.
func IsBuiltin(ref string) bool { return strings.HasPrefix(ref, BuiltinScheme) }
