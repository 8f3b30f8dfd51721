package hostgroup

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// oldManagers are further names under which wasmCloud's operator owned fields. Without its content type in the place of a
// name, and the manager of its Services, all of them are ours already.
var oldManagers = []string{"application/apply-patch+yaml", v1alpha1.ServiceFieldManager}

// takeFields makes the fields that wasmCloud's operator owned those of Trellis: what an apply no longer names then goes,
// instead of staying as the wish of someone who is no more.
func (r *Reconciler) takeFields(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, like client.Object) error {
	if group.Annotations[v1alpha1.AdoptAnnotation] != v1alpha1.AdoptRoll {
		return nil
	}
	live, err := r.live(ctx, like)
	if err != nil || live == nil || !metav1.IsControlledBy(live, group) || !slices.ContainsFunc(live.GetManagedFields(), foreignFields) {
		return err
	}
	entries := live.GetManagedFields()
	names := sets.New[string]()
	for i := range entries {
		if foreignFields(entries[i]) { // as if written by an update, which is what is known how to be taken over
			entries[i].Operation = metav1.ManagedFieldsOperationUpdate
			names.Insert(entries[i].Manager)
		}
	}
	live.SetManagedFields(entries)
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, names, v1alpha1.FieldManager)
	if err != nil {
		return fmt.Errorf("taking over the fields of %s %s: %w", kindOf(like), like.GetName(), err)
	}
	if err := r.options.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("taking over the fields of %s %s: %w", kindOf(like), like.GetName(), err)
	}
	return nil
}

func foreignFields(entry metav1.ManagedFieldsEntry) bool {
	return entry.Subresource == "" && slices.Contains(oldManagers, entry.Manager)
}
