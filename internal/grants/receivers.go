package grants

import (
	"maps"
	"slices"

	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// kinds are the words of tokens for what the manifest calls otherwise.
var kinds = map[string]manifest.Kind{secrets.Component: manifest.KindComponent, secrets.Provider: manifest.KindProvider}

// receivers are the components and providers of an application that name the very secret that is asked for. What another
// application runs is none of them: its host asks in the name of that one.
func receivers(app *Application, q secrets.Question, backend string) []manifest.Component {
	var names []string
	for _, r := range manifest.SecretReferences(app.Spec) {
		if r.Backend == backend && asks(q, r) {
			names = append(names, r.Receivers...)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return slices.DeleteFunc(manifest.Parse(app.Name, app.Spec).Components, func(c manifest.Component) bool {
		return c.Image == "" || c.Kind != kinds[q.Entity.Kind] || !slices.Contains(names, c.Name)
	})
}

// asks says whether a question is the one that a host makes of a reference, to the letter.
func asks(q secrets.Question, r manifest.SecretReference) bool {
	version := ""
	if q.Version != nil {
		version = *q.Version
	}
	properties := maps.Clone(q.Policy.Properties)
	delete(properties, policy.BackendProperty)
	return q.Key == r.Key && q.Field == r.Field && version == r.Version && maps.Equal(properties, r.Properties)
}
