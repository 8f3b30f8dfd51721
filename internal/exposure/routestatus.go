package exposure

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/trellis-operator/trellis/internal/apply"
	"github.com/trellis-operator/trellis/internal/policy"
)

// lookAgain is how soon routes that are not well are looked at again.
const lookAgain = 30 * time.Second

// finding is how one route fares; without reason it is well.
type finding struct {
	kind, name   string
	reason, text string
	// by is the Gateway that took it.
	by string
}

// of makes a finding of what Kubernetes refuses; other errors are returned.
func (f finding) of(err error) (finding, error) {
	var foreign *apply.NotOwnedError
	var refused *apply.RefusedError
	switch {
	case errors.As(err, &foreign):
		f.reason, f.text = ReasonForeignRoute, "it exists and belongs to someone else; give the route another name"
	case errors.As(err, &refused):
		f.reason, f.text = ReasonRefused, "Kubernetes refused it: "+refused.Err.Error()
	default:
		return f, err
	}
	return f, nil
}

// summary makes one condition of all findings: the first that is not well decides.
func summary(app *Application, findings []finding) *metav1.Condition {
	if len(findings) == 0 {
		return nil
	}
	var well []string
	for _, f := range findings {
		if f.reason != "" {
			return conditionOf(app, ConditionRouted, metav1.ConditionFalse, f.reason, fmt.Sprintf("%s %s: %s.", f.kind, f.name, f.text))
		}
		well = append(well, strings.TrimSpace(f.kind+" "+f.name+" "+f.by))
	}
	return conditionOf(app, ConditionRouted, metav1.ConditionTrue, ReasonRouted, strings.Join(well, "; ")+".")
}

// routeStatus is what Trellis reads of the status of a route.
type routeStatus struct {
	Parents []struct {
		ParentRef  policy.ParentRef `json:"parentRef"`
		Conditions []said           `json:"conditions"`
	} `json:"parents"`
}

// said is a condition of a route, without its time.
type said struct {
	Type               string                 `json:"type"`
	Status             metav1.ConditionStatus `json:"status"`
	Reason             string                 `json:"reason"`
	Message            string                 `json:"message"`
	ObservedGeneration int64                  `json:"observedGeneration"`
}

// judgeRoute reads what the controllers of the Gateways say of a route: each one that is named must have taken it.
func judgeRoute(at finding, live *unstructured.Unstructured, parents []policy.ParentRef) finding {
	var status routeStatus
	if err := readPart(live, "status", &status); err != nil {
		at.reason, at.text = ReasonPending, "its status can't be read: "+err.Error()
		return at
	}
	var by []string
	for _, parent := range parents {
		text := nameOfParent(parent, live.GetNamespace())
		taken := false
		for _, p := range status.Parents {
			if !sameParent(p.ParentRef, parent, live.GetNamespace()) {
				continue
			}
			if reason, says := judgeParent(p.Conditions, live.GetGeneration()); reason != "" {
				at.reason, at.text = reason, text+": "+says
				return at
			}
			taken = true
		}
		if !taken {
			at.reason, at.text = ReasonPending, "no controller has answered for "+text+" yet; is there such a Gateway, and does it run"
			return at
		}
		by = append(by, text)
	}
	at.by = "accepted by " + strings.Join(by, ", ")
	return at
}

// readPart reads a part of somebody else's object; fields that are not known here are skipped.
func readPart(object *unstructured.Unstructured, part string, into any) error {
	raw, err := json.Marshal(object.Object[part])
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// judgeParent looks at the conditions Accepted and ResolvedRefs.
func judgeParent(conditions []said, generation int64) (reason, says string) {
	for _, kind := range []string{"Accepted", "ResolvedRefs"} {
		i := slices.IndexFunc(conditions, func(c said) bool { return c.Type == kind })
		if i < 0 {
			return ReasonPending, kind + " is not said yet; wait"
		}
		c := conditions[i]
		switch {
		case c.ObservedGeneration != 0 && c.ObservedGeneration < generation:
			return ReasonPending, "the last change was not seen yet; wait"
		case c.Status == metav1.ConditionTrue:
		case c.Reason == ReasonRefNotPermitted:
			return ReasonRefNotPermitted, "a backend of another namespace is not permitted; make a ReferenceGrant there (" + c.Message + ")"
		case kind == "Accepted":
			return ReasonNotAccepted, fmt.Sprintf("it does not accept the route: %s (%s)", c.Reason, c.Message)
		default:
			return ReasonBackendUnresolved, fmt.Sprintf("a backend is not found: %s (%s)", c.Reason, c.Message)
		}
	}
	return "", ""
}

func nameOfParent(p policy.ParentRef, namespace string) string {
	kind := p.Kind
	if kind == "" {
		kind = "Gateway"
	}
	if p.Namespace != "" {
		namespace = p.Namespace
	}
	text := fmt.Sprintf("%s %s/%s", kind, namespace, p.Name)
	if p.SectionName != "" {
		text += " (" + p.SectionName + ")"
	}
	return text
}

// sameParent compares with the defaults of the Gateway API.
func sameParent(a, b policy.ParentRef, namespace string) bool {
	full := func(p policy.ParentRef) policy.ParentRef {
		if p.Group == "" {
			p.Group = gatewayGroup
		}
		if p.Kind == "" {
			p.Kind = "Gateway"
		}
		if p.Namespace == "" {
			p.Namespace = namespace
		}
		return p
	}
	return full(a) == full(b)
}
