package grants

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// facts are all that a decision is made of.
type facts struct {
	question secrets.Question
	backend  string
	// application is nil when none of that name is deployed.
	application *Application
	// receivers are its components that name the very secret that is asked for.
	receivers []manifest.Component
	// host is nil when the asker's group has none of that id.
	host *Host
	// claims by image; nil for one without.
	claims map[string]*secrets.Entity
	// account says that the ServiceAccount of the policy may read the Secret.
	account bool
	// grants of the Secret's namespace.
	grants []*v1alpha1.SecretGrant
}

// maxProblems keeps an answer short.
const maxProblems = 3

// decide says which Secret is read, or why none is, and leaves of the receivers those that the caller can be.
func decide(f *facts) (policy.SecretSource, error) {
	none := policy.SecretSource{}
	if f.application == nil {
		return none, unauthorized("no application %q is deployed in lattice %s", f.question.Application, f.question.Asker.Lattice)
	}
	if len(f.receivers) == 0 {
		return none, unauthorized("the deployed revision of application %s names no such secret, with this key, field, version and policy", f.name())
	}
	source, problems := policy.ReadSecret(f.application.Namespace, f.question.Policy.Properties)
	if len(problems) > 0 {
		return none, policyError("%s", join(problems))
	}
	if f.question.Field == "" {
		return none, other("name the key within the Secret by properties.field of the secret in the manifest")
	}
	if len(validation.IsDNS1123Subdomain(f.question.Key)) > 0 {
		return none, notFound("%q is no name of a Secret", f.question.Key)
	}
	if err := f.place(); err != nil {
		return none, err
	}
	if f.admitted(source) || f.account && f.question.Asker.Group != "" || f.granted() {
		return source, nil
	}
	return none, f.denied(source)
}

// place narrows the receivers to those that the caller can be: the host is one of the asker's and has to do with them, and
// the caller's token is the one in their image.
func (f *facts) place() error {
	if f.host == nil {
		return unauthorized("host %q is none of group %q in namespace %q of lattice %s", f.question.HostID, f.question.Asker.Group,
			f.question.Asker.Namespace, f.question.Asker.Lattice)
	}
	named := f.receivers
	matched := slices.DeleteFunc(slices.Clone(named), func(c manifest.Component) bool { return !same(f.question.Entity, f.claims[c.Image]) })
	if len(matched) == 0 {
		return f.unmatched(named)
	}
	placed := slices.DeleteFunc(slices.Clone(matched), func(c manifest.Component) bool { return !hasPlace(c, f.host) })
	if len(placed) == 0 {
		return unauthorized("application %s has no place for the component on host %s, which does not report it either", f.name(), f.question.HostID)
	}
	f.receivers = placed
	return nil
}

func (f *facts) unmatched(named []manifest.Component) error {
	for _, c := range named {
		if f.claims[c.Image] == nil {
			return unauthorized("the image of component %s of application %s has no embedded token; sign it, as wash build does", c.Name, f.name())
		}
	}
	return unauthorized("%s %s is not what is in the image of component %s of application %s", f.question.Entity.Kind, f.question.Entity.Subject,
		named[0].Name, f.name())
}

// same compares a token with the one in an image. The hash makes it the same module, not only the same name; providers
// have none here, since a provider has one for each machine.
func same(entity secrets.Entity, claims *secrets.Entity) bool {
	return claims != nil && entity.Subject != "" && entity.Kind == claims.Kind && entity.Subject == claims.Subject &&
		entity.Issuer == claims.Issuer && entity.Hash == claims.Hash && (entity.Hash != "" || entity.Kind != secrets.Component)
}

// hasPlace says whether a component may be on a host: it is, or its scaler could choose the host. A host asks before it
// runs what it asks for.
func hasPlace(c manifest.Component, host *Host) bool {
	if slices.Contains(host.Running, c.ID) {
		return true
	}
	return c.Scaler != nil && slices.ContainsFunc(c.Scaler.Spreads, func(s manifest.Spread) bool {
		return s.Instances > 0 && s.Matches(host.Labels)
	})
}

// admitted says that the Secret is in the application's own namespace, and that the API server asked whoever wrote the
// revision for the right to read it. Where a ServiceAccount is named it did not.
func (f *facts) admitted(source policy.SecretSource) bool {
	return f.question.Asker.Group != "" && source.Namespace == f.application.Namespace && source.ServiceAccount == "" &&
		f.application.Reviewed == f.backend
}

// denied says to whoever reads the log what would help.
func (f *facts) denied(source policy.SecretSource) error {
	secret := source.Namespace + "/" + f.question.Key
	switch {
	case f.question.Asker.Group == "":
		return unauthorized("the host group that asks for Secret %s is unknown, and no SecretGrant with unauthenticated: true lets application %s have it: %s",
			secret, f.name(), cmp.Or(f.question.Asker.Doubt, "it asks below the prefix that is nobody's"))
	case source.ServiceAccount != "":
		return unauthorized("ServiceAccount %s/%s may not get Secret %s, and no SecretGrant lets application %s have it; give it a Role with get on that Secret",
			f.application.Namespace, source.ServiceAccount, secret, f.name())
	case source.Namespace == f.application.Namespace:
		return unauthorized("application %s was written before its writers were asked for the right to get Secret %s; change its spec, or name a serviceAccount in the policy",
			f.name(), secret)
	}
	return unauthorized("Secret %s is in another namespace than application %s; name a serviceAccount in the policy, or create a SecretGrant in namespace %s",
		secret, f.name(), source.Namespace)
}

func (f *facts) name() string { return f.application.Namespace + "/" + f.application.Name }

func join(problems []policy.SecretProblem) string {
	var texts []string
	for _, p := range problems[:min(len(problems), maxProblems)] {
		texts = append(texts, p.Property+": "+p.Text)
	}
	return strings.Join(texts, "; ")
}
