package exposure

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Names that users and other programs see.
const (
	// ExposeAnnotation with the value "false" on an application turns its Service off.
	ExposeAnnotation = "k8s.wasmcloud.dev/expose"
	// ApplicationLabel, ApplicationUIDLabel and LatticeLabel on a Service and its slices say what they belong to. An
	// annotation of the first key has the name as written, where no label can.
	ApplicationLabel    = "k8s.wasmcloud.dev/application"
	ApplicationUIDLabel = "k8s.wasmcloud.dev/application-uid"
	LatticeLabel        = "k8s.wasmcloud.dev/lattice"
	// SliceManager is the value of endpointslice.kubernetes.io/managed-by, which keeps other controllers away.
	SliceManager = "trellis.k8s.wasmcloud.dev"

	// ConditionExposed is the condition type that is reported.
	ConditionExposed = "Exposed"
	// ReasonExposed: the Service has endpoints.
	ReasonExposed = "Exposed"
	// ReasonNoEndpoints: the Service is there, but no ready pod serves.
	ReasonNoEndpoints = "NoEndpoints"
	// ReasonPending: no port is known yet.
	ReasonPending = "Pending"
	// ReasonForeignService: a Service of the name belongs to someone else.
	ReasonForeignService = "ForeignService"
	// ReasonLoopback: the application listens on a loopback address, which nobody outside the pod reaches.
	ReasonLoopback = "ListensOnLoopback"
	// ReasonBadAddress: the address of the HTTP server can't be read.
	ReasonBadAddress = "BadAddress"
	// ReasonPortUnverified: endpoints were added whose port does not answer.
	ReasonPortUnverified = "PortUnverified"
	// ReasonRefused: Kubernetes refused the Service, or a route.
	ReasonRefused = "Refused"
	// ReasonInvalidPolicy: an expose policy can't be read; what was made before it stays.
	ReasonInvalidPolicy = "InvalidPolicy"
	// ConditionRouted says how the routes fare that a policy asks for; it is not there if none does.
	ConditionRouted = "Routed"
	// ReasonRouted: every route was accepted.
	ReasonRouted = "Routed"
	// ReasonNoGatewayAPI: the cluster does not know the kind of a route.
	ReasonNoGatewayAPI = "GatewayAPIMissing"
	// ReasonNotAccepted: a Gateway does not accept a route.
	ReasonNotAccepted = "NotAccepted"
	// ReasonRefNotPermitted: a backend of another namespace is not granted. The word is the Gateway API's.
	ReasonRefNotPermitted = "RefNotPermitted"
	// ReasonBackendUnresolved: a backend is not found.
	ReasonBackendUnresolved = "BackendUnresolved"
	// ReasonForeignRoute: a route or Ingress of the name belongs to someone else.
	ReasonForeignRoute = "ForeignRoute"

	// ReasonPortConflict: another application listens on the same port of the same host.
	ReasonPortConflict = "PortConflict"
)

// serviceName returns the name of the Service: that of the application where Kubernetes allows it, else a legal name
// that no other application has.
func serviceName(application string) string {
	if len(validation.IsDNS1035Label(application)) == 0 {
		return application
	}
	sum := sha256.Sum256([]byte(application))
	var b strings.Builder
	for _, r := range strings.ToLower(application) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	base := strings.Trim(b.String(), "-")
	if base == "" || base[0] < 'a' {
		base = "app-" + base
	}
	return strings.Trim(base[:min(len(base), 50)], "-") + "-" + hex.EncodeToString(sum[:4])
}

// labelValue returns a name that may be the value of a label.
func labelValue(name string) string {
	if len(validation.IsValidLabelValue(name)) == 0 {
		return name
	}
	return serviceName(name)
}
