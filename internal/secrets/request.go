package secrets

import (
	"errors"
	"unicode/utf8"

	"sigs.k8s.io/json"
)

const (
	// maxBody bounds a sealed request. Its two tokens and names take a few KiB.
	maxBody = 64 << 10

	policyType = "properties.secret.wasmcloud.dev/v1alpha1"
)

// requestForm is the body of a request. Hosts send every member; what may be absent or null is a pointer.
type requestForm struct {
	Key     *string      `json:"key"`
	Field   *string      `json:"field"`
	Version *string      `json:"version"`
	Context *contextForm `json:"context"`
}

type contextForm struct {
	EntityJWT   string           `json:"entity_jwt"`
	HostJWT     string           `json:"host_jwt"`
	Application *applicationForm `json:"application"`
}

type applicationForm struct {
	Name *string `json:"name"`
	// Policy is JSON inside of a string.
	Policy *string `json:"policy"`
}

type policyForm struct {
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
}

// readRequest reads the opened body of a request. Unknown members are ignored, as newer hosts may send some.
func readRequest(body []byte) (*requestForm, error) {
	var r *requestForm
	if err := decode(body, &r); err != nil {
		return nil, refuse(InvalidPayload, "the request is not of the form: %v", err)
	}
	if r == nil || r.Key == nil || r.Context == nil {
		return nil, refuse(InvalidPayload, "the request lacks key or context")
	}
	if *r.Key == "" {
		return nil, refuse(Other, "the reference names no secret; set its key")
	}
	if r.Context.Application == nil {
		r.Context.Application = &applicationForm{}
	}
	return r, nil
}

// readPolicy reads the policy of a request; none is an empty one.
func readPolicy(text *string) (Policy, error) {
	if text == nil || *text == "" {
		return Policy{}, nil
	}
	var p *policyForm
	if err := decode([]byte(*text), &p); err != nil || p == nil {
		return Policy{}, refuse(PolicyError, "the policy is no JSON object with type and properties")
	}
	if p.Type != policyType {
		return Policy{}, refuse(PolicyError, "the policy has type %q; use %s", shorten(p.Type, 60), policyType)
	}
	policy := Policy{Properties: make(map[string]string, len(p.Properties))}
	for name, value := range p.Properties {
		plain, isText := value.(string)
		if !isText {
			return Policy{}, refuse(PolicyError, "property %q of the policy is no text; write its value in quotes", shorten(name, 60))
		}
		policy.Properties[name] = plain
	}
	return policy, nil
}

// decode reads JSON as strictly as hosts do: names count with their case, no member comes twice, and text is UTF-8. What
// two readers understand differently is no basis for a decision.
func decode(data []byte, into any, more ...json.StrictOption) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	strict, err := json.UnmarshalStrict(data, into, append(more, json.DisallowDuplicateFields)...)
	if err != nil {
		return errJSON
	}
	if len(strict) > 0 {
		return errMembers
	}
	return nil
}

// The errors of decode never repeat what was read: it may be a token.
var (
	errJSON    = errors.New("it is not JSON of this form")
	errMembers = errors.New("a member comes twice or is unknown")
)
