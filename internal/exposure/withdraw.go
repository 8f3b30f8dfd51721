package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// withdraw removes the Service that Trellis made for an application of that name. Its slices go with it.
func (r *Reconciler) withdraw(ctx context.Context, key types.NamespacedName) error {
	var service corev1.Service
	err := r.options.Client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: serviceName(key.Name)}, &service)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if service.Annotations[ApplicationLabel] != key.Name || service.Labels[ApplicationUIDLabel] == "" || !managedByUs(service.Labels) {
		return nil
	}
	base := service.DeepCopy()
	if controllerutil.RemoveFinalizer(&service, v1alpha1.ServiceFieldManager) {
		if err := r.options.Client.Patch(ctx, &service, client.MergeFrom(base)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing the finalizer of Service %s: %w", service.Name, err)
		}
	}
	if service.DeletionTimestamp != nil {
		return nil
	}
	err = r.options.Client.Delete(ctx, &service, client.Preconditions{UID: &service.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing Service %s: %w", service.Name, err)
	}
	return nil
}
