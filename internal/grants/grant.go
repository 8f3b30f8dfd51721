package grants

import (
	"slices"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// granted says whether grants let every component have the Secret that the caller may be. Which of several with the same
// image it is, the request does not say.
func (f *facts) granted() bool {
	for _, c := range f.receivers {
		if !slices.ContainsFunc(f.grants, func(g *v1alpha1.SecretGrant) bool { return f.grantedBy(g, c.Name) }) {
			return false
		}
	}
	return len(f.receivers) > 0
}

func (f *facts) grantedBy(g *v1alpha1.SecretGrant, component string) bool {
	if f.question.Asker.Group == "" && !g.Spec.Unauthenticated {
		return false
	}
	from := slices.ContainsFunc(g.Spec.From, func(from v1alpha1.SecretGrantFrom) bool {
		return lists(from.Namespaces, f.application.Namespace) && lists(from.Lattices, f.question.Asker.Lattice) &&
			lists(from.Applications, f.application.Name) && lists(from.Components, component)
	})
	return from && slices.ContainsFunc(g.Spec.Secrets, func(s v1alpha1.GrantedSecret) bool {
		return s.Name == f.question.Key && (s.Keys == nil || slices.Contains(s.Keys, f.question.Field))
	})
}

// lists says whether a list has a name, or all. An empty one has none.
func lists(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, v1alpha1.GrantAll)
}
