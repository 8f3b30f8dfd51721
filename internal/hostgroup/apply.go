package hostgroup

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

func (r *Reconciler) applier() apply.Applier {
	return apply.Applier{Client: r.options.Client, Live: r.options.Live, Manager: v1alpha1.FieldManager}
}

// apply makes an object of the group as desired, unless one of that name belongs to someone else.
func (r *Reconciler) apply(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, desired client.Object) error {
	if err := r.takeFields(ctx, group, desired); err != nil {
		return err
	}
	err := r.applier().Apply(ctx, desired, func(live client.Object) bool { return metav1.IsControlledBy(live, group) })
	var foreign *apply.NotOwnedError
	var refused *apply.RefusedError
	switch {
	case errors.As(err, &foreign):
		return nameTaken(foreign.Kind, foreign.Name)
	case errors.As(err, &refused):
		p := invalid(v1alpha1.ReasonRefused, "%v.", refused)
		p.retry = retryRefused
		return p
	}
	return err
}

// live returns the object as it is, or nil.
func (r *Reconciler) live(ctx context.Context, like client.Object) (client.Object, error) {
	return r.applier().Find(ctx, like)
}
