package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// secretGate lets a spec in that references Secrets only if whoever writes it may do so: read those of the application's
// own namespace, and, for wash, use the ServiceAccounts that it names. Secrets of other namespaces are decided on when they
// are asked for. It stands in the validation of admission, so a dry run passes it as well, and status never does.
type secretGate struct {
	// backend is the name of Trellis's own; without one nobody is asked anything.
	backend    string
	authorizer authorizer.Authorizer
}

func (g secretGate) onCreate(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		if validate != nil {
			if err := validate(ctx, obj); err != nil {
				return err
			}
		}
		return g.admit(ctx, nil, obj.(*v1beta1.Application))
	}
}

func (g secretGate) onUpdate(validate rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	return func(ctx context.Context, obj, old runtime.Object) error {
		if validate != nil {
			if err := validate(ctx, obj, old); err != nil {
				return err
			}
		}
		return g.admit(ctx, old.(*v1beta1.Application), obj.(*v1beta1.Application))
	}
}

// reviews says whether a write is one whose author is reviewed. What is taken over from wadm has no author.
func (g secretGate) reviews(ctx context.Context, old, app *v1beta1.Application) bool {
	return g.backend != "" && !importing(ctx, app) && !asReviewed(old, app)
}

// asReviewed says that a write leaves what somebody answered for: the spec, and the lattice whose hosts get the secrets.
func asReviewed(old, app *v1beta1.Application) bool {
	return old != nil && sameSpec(&old.Spec, &app.Spec) && wantedLattice(old) == wantedLattice(app)
}

// settleReviewed makes the annotation say of this spec that its author was reviewed. A spec that is not let in is not
// stored, and neither is the annotation.
func (g secretGate) settleReviewed(ctx context.Context, old, app *v1beta1.Application) {
	key, value := v1beta1.SecretsReviewedAnnotation, ""
	switch {
	case asReviewed(old, app):
		value = old.Annotations[key]
	case g.reviews(ctx, old, app) && slices.ContainsFunc(manifest.SecretReferences(&app.Spec), g.isOurs):
		value = g.backend
	}
	if value == "" {
		delete(app.Annotations, key)
		return
	}
	annotate(app, key, value)
}

func (g secretGate) isOurs(r manifest.SecretReference) bool { return r.Backend == g.backend }

func (g secretGate) admit(ctx context.Context, old, app *v1beta1.Application) error {
	if !g.reviews(ctx, old, app) {
		return nil
	}
	r := review{secretGate: g, app: app, asked: map[wanted]bool{}, said: map[string]bool{}}
	for _, reference := range manifest.SecretReferences(&app.Spec) {
		if !g.isOurs(reference) {
			continue
		}
		if err := r.reference(ctx, reference); err != nil {
			return err
		}
	}
	return nil
}

// review is one pass over a spec. What several references share is asked once and said once.
type review struct {
	secretGate
	app   *v1beta1.Application
	asked map[wanted]bool
	said  map[string]bool
}

// wanted is a right that the author of a spec must have in its namespace.
type wanted struct{ verb, resource, name string }

func (r *review) reference(ctx context.Context, ref manifest.SecretReference) error {
	if len(ref.Receivers) == 0 {
		r.warn(ctx, ref.Path, "hosts ask for the secrets of a link in the name of the application that runs the provider at its end, and this "+
			"one runs none there: nobody gets the secret; give it to the provider where that runs")
	}
	source, problems := ref.Source(r.app.Namespace)
	for _, p := range problems {
		at := ref.PolicyPath.Child("properties").Key(p.Property)
		if p.Foreign {
			return r.invalid(at, ref.Properties[p.Property], p.Text)
		}
		r.warn(ctx, at, p.Text+"; as it stands, no secret of this policy can be read")
	}
	switch {
	case source.ServiceAccount != "" && isWash(ctx):
		return r.demand(ctx, wanted{"use", "serviceaccounts", source.ServiceAccount}, ref.PolicyPath.Child("properties"),
			"bind it a Role with verb use on that ServiceAccount, or name none")
	case source.ServiceAccount != "":
		return nil // its own rights count, whenever the Secret is asked for
	case source.Namespace != r.app.Namespace:
		r.warn(ctx, ref.Path, fmt.Sprintf("Secret %q is in namespace %q: application %q can read it only if a SecretGrant there says so, or "+
			"if the policy names a serviceAccount of namespace %q that may get it", ref.Key, source.Namespace, r.app.Name, r.app.Namespace))
		return nil
	}
	return r.demand(ctx, wanted{"get", "secrets", ref.Key}, ref.Path,
		"bind it a Role with verb get on that Secret, or name a serviceAccount in the policy that has one")
}

// demand refuses a spec whose author lacks a right; help says what to do then.
func (r *review) demand(ctx context.Context, w wanted, path *field.Path, help string) error {
	if r.asked[w] {
		return nil
	}
	r.asked[w] = true
	user, ok := request.UserFrom(ctx)
	if !ok {
		return apierrors.NewInternalError(errors.New("the request has no user whose rights could be reviewed"))
	}
	decision, _, err := r.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: user, Verb: w.verb, APIVersion: "v1", Resource: w.resource, Namespace: r.app.Namespace, Name: w.name, ResourceRequest: true,
	})
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return unavailable(fmt.Sprintf("whether user %q may %s %s %q can't be asked", user.GetName(), w.verb, w.resource, w.name), err)
	}
	return apierrors.NewForbidden(v1beta1.Resource(applications), r.app.Name, fmt.Errorf("%s: user %q may not %s %s %q in namespace %q; %s",
		path, user.GetName(), w.verb, w.resource, w.name, r.app.Namespace, help))
}

func (r *review) invalid(path *field.Path, value, text string) error {
	return apierrors.NewInvalid(v1beta1.SchemeGroupVersion.WithKind("Application").GroupKind(), r.app.Name,
		field.ErrorList{field.Invalid(path, value, text)})
}

func (r *review) warn(ctx context.Context, path *field.Path, text string) {
	if text = path.String() + ": " + text; r.said[text] {
		return
	}
	r.said[text] = true
	warning.AddWarning(ctx, "", text)
}
