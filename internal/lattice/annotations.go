package lattice

// Annotations that wadm puts on what it runs. Trellis writes the same, so that each recognises the other's and nothing
// restarts when one takes over from the other.
const (
	AnnotationManagedBy = "wasmcloud.dev/managed-by"
	// AnnotationAppSpec is the application's name. It is the only one a host reads: it goes to the secrets backend.
	AnnotationAppSpec = "wasmcloud.dev/appspec"
	AnnotationSpread  = "wasmcloud.dev/spread_name"
	AnnotationScaler  = "wasmcloud.dev/scaler"

	// ManagedByWadm is the value of AnnotationManagedBy.
	ManagedByWadm = "wadm"
	// DefaultSpread is the name of the implicit spread.
	DefaultSpread = "default"
)
