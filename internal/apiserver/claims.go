package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// claimed is a claim and the field that makes it.
type claimed struct {
	Claim
	path *field.Path
	// version that needs it, when it is not the one in spec.
	version string
}

// claimsOf are what an application must hold in its lattice: its sanitised name, and every explicit id. The id of a
// reference to a shared component belongs to the other application.
func claimsOf(app *v1beta1.Application) []claimed {
	list := []claimed{{Claim: Claim{ClaimName, manifest.Sanitise(app.Name)}, path: field.NewPath("metadata", "name")}}
	components := field.NewPath("spec", "components")
	for i, c := range app.Spec.Components {
		if c.Properties.ID != "" && c.Properties.Application == nil {
			list = append(list, claimed{Claim: Claim{ClaimID, c.Properties.ID}, path: components.Index(i).Child("properties", "id")})
		}
	}
	return list
}

// claim takes what the application does not hold yet. Nothing is given back here: what an older version used may run.
func (l *lifecycle) claim(ctx context.Context, old, app *v1beta1.Application) error {
	lattice := app.Status.Lattice
	if lattice == "" {
		return nil
	}
	var held []Claim
	if old != nil && old.Status.Lattice == lattice {
		for _, c := range claimsOf(old) {
			held = append(held, c.Claim)
		}
	}
	wanted, err := l.claimsOfDeployed(ctx, old, app)
	if err != nil {
		return err
	}
	owner := Owner{Namespace: app.Namespace, Name: app.Name, UID: app.UID}
	for _, c := range append(claimsOf(app), wanted...) {
		if slices.Contains(held, c.Claim) {
			continue
		}
		err := l.claims.Claim(ctx, lattice, c.Claim, owner)
		var taken *ClaimedError
		switch {
		case errors.As(err, &taken):
			return l.refuse(ctx, app.Name, lattice, c, taken.Holder)
		case err != nil:
			return unavailable(fmt.Sprintf("the names of lattice %q can't be checked", lattice), err)
		}
	}
	return nil
}

// claimsOfDeployed are the ids of an earlier version that is to run from now on: they were free since it ran last.
func (l *lifecycle) claimsOfDeployed(ctx context.Context, old, app *v1beta1.Application) ([]claimed, error) {
	version := manifest.Deployed(app.Annotations).Version
	if old == nil || version == "" || version == app.Status.Version {
		return nil, nil
	}
	if old.Status.Lattice == app.Status.Lattice && version == manifest.Deployed(old.Annotations).Version {
		return nil, nil // held since then
	}
	revision, err := l.revisions.get(ctx, app, version)
	if errors.Is(err, errNoRevision) {
		return nil, nil // warnOfPin says so
	}
	if err != nil {
		return nil, err
	}
	key := v1beta1.DeployedVersionAnnotation
	if !manifest.Deployed(app.Annotations).Pinned {
		key = v1beta1.WashDeployedVersionAnnotation
	}
	list := claimsOf(&v1beta1.Application{ObjectMeta: app.ObjectMeta, Spec: revision.Spec})
	for i := range list {
		list[i].path, list[i].version = field.NewPath("metadata", "annotations").Key(key), version
	}
	return list, nil
}

// refuse tells who holds a claim only to those who may read the holder.
func (l *lifecycle) refuse(ctx context.Context, name, lattice string, c claimed, holder Owner) error {
	who := "another application"
	if l.mayRead(ctx, holder) {
		who = fmt.Sprintf("application %q in namespace %q", holder.Name, holder.Namespace)
	}
	what := "the name"
	if c.Kind == ClaimID {
		what = "the id"
	}
	wrong := field.Invalid(c.path, c.Name, fmt.Sprintf("%s is in use by %s of lattice %q; choose another", what, who, lattice))
	if c.version != "" {
		wrong = field.Invalid(c.path, c.version, fmt.Sprintf("%s %q of this version is in use by %s of lattice %q; deploy another version",
			what, c.Name, who, lattice))
	}
	return apierrors.NewInvalid(v1beta1.SchemeGroupVersion.WithKind("Application").GroupKind(), name, field.ErrorList{wrong})
}

func (l *lifecycle) mayRead(ctx context.Context, holder Owner) bool {
	user, ok := request.UserFrom(ctx)
	if !ok || l.authorizer == nil || isItself(ctx) {
		return false // what the server is told itself stands in a condition, for others to read
	}
	decision, _, err := l.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: user, Verb: "get", Namespace: holder.Namespace, Name: holder.Name, ResourceRequest: true,
		APIGroup: v1beta1.GroupName, APIVersion: v1beta1.Version, Resource: applications,
	})
	return err == nil && decision == authorizer.DecisionAllow
}

func invalidSpec(name string, err error) error {
	return apierrors.NewInvalid(v1beta1.SchemeGroupVersion.WithKind("Application").GroupKind(), name, field.ErrorList{
		field.Invalid(field.NewPath("spec"), field.OmitValueType{}, err.Error()),
	})
}
