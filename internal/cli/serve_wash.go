package cli

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/binding"
)

// washBoundAnnotation on a host group says for which lattice wash was let into its namespace. It is the memory that
// makes the RoleBinding once only: whoever removes the binding keeps wash out.
const washBoundAnnotation = "k8s.wasmcloud.dev/wash-bound"

// washBinder lets wash work on applications in the namespaces of host groups. One replica at a time runs it.
type washBinder struct {
	client   client.Client
	bindings *binding.Set
	// role is the ClusterRole with what wash may do.
	role string
	// allows says whether wash may work on a lattice at all.
	allows func(lattice string) bool
}

// Start follows the host groups until ctx ends; the name is that of controller-runtime's Runnable.
func (w *washBinder) Start(ctx context.Context) error {
	for {
		changed := w.bindings.Changed()
		if err := w.bindAll(ctx); err != nil {
			logr.FromContextOrDiscard(ctx).Error(err, "wash could not be let into every namespace; it is tried again with the next change of a host group")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func (w *washBinder) bindAll(ctx context.Context) error {
	var groups v1alpha1.WasmCloudHostConfigList
	if err := w.client.List(ctx, &groups); err != nil {
		return fmt.Errorf("list host groups: %w", err)
	}
	for i := range groups.Items {
		group := &groups.Items[i]
		lattice := group.Spec.Lattice
		if !w.allows(lattice) || group.Annotations[washBoundAnnotation] == lattice || group.DeletionTimestamp != nil {
			continue
		}
		if err := w.client.Create(ctx, w.roleBinding(group.Namespace, lattice)); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("let wash into namespace %s: %w", group.Namespace, err)
		}
		before := group.DeepCopy()
		metav1.SetMetaDataAnnotation(&group.ObjectMeta, washBoundAnnotation, lattice)
		if err := w.client.Patch(ctx, group, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remember that wash was let into namespace %s: %w", group.Namespace, err)
		}
	}
	return nil
}

func (w *washBinder) roleBinding(namespace, lattice string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "trellis-wash-" + lattice, Labels: ownLabels()},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: w.role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: apiserver.WashUserPrefix + lattice}},
	}
}
