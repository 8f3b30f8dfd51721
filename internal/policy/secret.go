package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Properties of a policy of type policy.secret.wasmcloud.dev/v1alpha1 whose backend is Trellis.
const (
	// BackendProperty names the backend; Backend is what Trellis answers to unless it is told otherwise.
	BackendProperty = "backend"
	Backend         = "kube"

	namespaceProperty      = "namespace"
	serviceAccountProperty = "serviceAccount"
	impersonateProperty    = "impersonate" // the name that wasmCloud's own backend has for it
	encodingProperty       = "encoding"
	rotationProperty       = "rotation"

	// serviceAccountUser begins the names of users that are ServiceAccounts.
	serviceAccountUser = "system:serviceaccount:"
)

// Encoding says how the value of a Secret is handed to the workload.
type Encoding string

// Encodings. Without one, what is UTF-8 is text.
const (
	EncodingText   Encoding = "text"
	EncodingBinary Encoding = "binary"
)

// Rotation says what happens to a workload whose Secret changes.
type Rotation string

// Rotations; the default is to deliver the new value.
const (
	RotationDeliver Rotation = "deliver"
	RotationRestart Rotation = "restart"
	RotationManual  Rotation = "manual"
)

// SecretSource is what a secrets policy says to the backend of Kubernetes Secrets.
type SecretSource struct {
	// Namespace of the Secrets, that of the application unless the policy says another.
	Namespace string
	// ServiceAccount of the application's namespace in whose name they are read; empty: none.
	ServiceAccount string
	Encoding       Encoding
	Rotation       Rotation
}

// SecretProblem is something in a secrets policy that can't be used.
type SecretProblem struct {
	Property string
	// Text says what is wrong and what to do.
	Text string
	// Foreign says that the policy wants to act as somebody whom the application's namespace does not have.
	Foreign bool
}

// ReadSecret reads the properties of a secrets policy of an application in a namespace. What it returns is to be used only
// if there are no problems.
func ReadSecret(namespace string, properties map[string]string) (SecretSource, []SecretProblem) {
	r := secretReader{source: SecretSource{Namespace: namespace, Rotation: RotationDeliver}, namespace: namespace}
	known := r.setters()
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		set, ok := known[name]
		if !ok {
			r.problem(name, "there is no property %q; there are %s", shorten(name), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			continue
		}
		set(name, properties[name])
	}
	return r.source, r.problems
}

type secretReader struct {
	namespace string
	source    SecretSource
	problems  []SecretProblem
	// account is the property that named the ServiceAccount.
	account string
}

func (r *secretReader) problem(property, format string, args ...any) {
	r.problems = append(r.problems, SecretProblem{Property: property, Text: fmt.Sprintf(format, args...)})
}

// setters read the properties that are there, sorted by name, so that problems are too.
func (r *secretReader) setters() map[string]func(property, value string) {
	return map[string]func(property, value string){
		BackendProperty: func(string, string) {}, namespaceProperty: r.setNamespace,
		serviceAccountProperty: r.setAccount, impersonateProperty: r.setAccount,
		encodingProperty: r.setEncoding, rotationProperty: r.setRotation,
	}
}

func (r *secretReader) setNamespace(property, value string) {
	if len(validation.IsDNS1123Label(value)) > 0 {
		r.problem(property, "%q is no name of a namespace; correct it, or leave the property out for the namespace of the application", shorten(value))
		return
	}
	r.source.Namespace = value
}

// setAccount takes the name of a ServiceAccount, or of the user that one is, which is what wasmCloud's own backend wants.
func (r *secretReader) setAccount(property, value string) {
	name := strings.TrimPrefix(value, serviceAccountUser+r.namespace+":")
	switch {
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		r.problem(property, "%q is no ServiceAccount of namespace %s; name one of that namespace, its name alone", shorten(value), r.namespace)
		r.problems[len(r.problems)-1].Foreign = true
	case r.account != "" && r.source.ServiceAccount != name:
		r.problem(property, "%s names another ServiceAccount; remove one of the two", r.account)
	default:
		r.source.ServiceAccount, r.account = name, property
	}
}

func (r *secretReader) setEncoding(property, value string) {
	r.source.Encoding = Encoding(value)
	if r.source.Encoding != EncodingText && r.source.Encoding != EncodingBinary {
		r.problem(property, "%q is no encoding; use text or binary, or leave the property out", shorten(value))
	}
}

func (r *secretReader) setRotation(property, value string) {
	r.source.Rotation = Rotation(value)
	if !slices.Contains([]Rotation{RotationDeliver, RotationRestart, RotationManual}, r.source.Rotation) {
		r.problem(property, "%q is no rotation; use deliver, restart or manual", shorten(value))
	}
}
