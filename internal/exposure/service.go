package exposure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apply"
)

// keptManager owns what users had set on a Service that was made anew.
const keptManager = "operator.k8s.wasmcloud.dev/kept"

// service returns the Service of the application's name, whoever made it, or nil.
func (r *Reconciler) service(ctx context.Context, app *Application) (*corev1.Service, error) {
	found, err := r.applier(v1alpha1.ServiceFieldManager).Find(ctx, &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: serviceName(app.Name)}})
	if err != nil || found == nil {
		return nil, err
	}
	return found.(*corev1.Service), nil
}

func (r *Reconciler) applier(manager string) apply.Applier {
	return apply.Applier{Client: r.options.Client, Live: r.options.Live, Manager: manager}
}

func keyOf(app *Application) types.NamespacedName {
	return types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
}

// applyService makes the Service as wanted and returns what is there then.
func (r *Reconciler) applyService(ctx context.Context, app *Application, existing, wanted *corev1.Service) (*corev1.Service, error) {
	mine := existing != nil && owned(existing, app)
	if mine {
		if err := r.dropPorts(ctx, existing, wanted); err != nil {
			return nil, err
		}
	}
	if existing == nil && !app.Kept.empty() {
		made, err := r.restore(ctx, wanted, app.Kept)
		if err != nil {
			return nil, err
		}
		existing = made
	}
	var found client.Object // not a nil *Service, which is no nil
	if existing != nil {
		found = existing
	}
	live, err := r.applier(v1alpha1.ServiceFieldManager).Over(ctx, wanted, found, func(live client.Object) bool { return owned(live, app) })
	if err != nil {
		return nil, err
	}
	return live.(*corev1.Service), nil
}

// restore makes a Service with what users had set on the one before. Its own field manager owns that, so that it is the
// users' again. A node port that somebody else has by now is let go.
func (r *Reconciler) restore(ctx context.Context, wanted *corev1.Service, kept Kept) (*corev1.Service, error) {
	service := wanted.DeepCopy()
	for key, value := range kept.Annotations {
		if _, set := service.Annotations[key]; !set {
			service.Annotations[key] = value
		}
	}
	if service.Spec.Type == "" && service.Spec.ClusterIP != corev1.ClusterIPNone {
		service.Spec.Type = kept.Type
	}
	bare := service.DeepCopy()
	if t := service.Spec.Type; t == corev1.ServiceTypeNodePort || t == corev1.ServiceTypeLoadBalancer {
		for i := range service.Spec.Ports {
			service.Spec.Ports[i].NodePort = kept.NodePorts[service.Spec.Ports[i].Name]
		}
	}
	err := r.options.Client.Create(ctx, service, client.FieldOwner(keptManager))
	if apierrors.IsInvalid(err) {
		service = bare
		err = r.options.Client.Create(ctx, service, client.FieldOwner(keptManager))
	}
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil, fmt.Errorf("making Service %s anew: somebody was faster, so it is looked at again: %w", wanted.Name, err)
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err):
		return nil, &apply.RefusedError{Kind: "Service", Name: wanted.Name, Err: err}
	case err != nil:
		return nil, fmt.Errorf("making Service %s anew: %w", wanted.Name, err)
	}
	return service, nil
}

// dropPorts replaces the ports of a Service that has one that is no longer wanted. Server-side apply would keep it as long
// as a user owns anything of it, a node port for instance, and refuse what is left. Node ports go with the name.
func (r *Reconciler) dropPorts(ctx context.Context, live, wanted *corev1.Service) error {
	numbers, names := map[frontPort]bool{}, map[string]int32{}
	for _, p := range wanted.Spec.Ports {
		numbers[frontPort{uint16(p.Port), string(p.Protocol)}] = true
	}
	extra := false
	for _, p := range live.Spec.Ports {
		extra = extra || !numbers[frontPort{uint16(p.Port), string(p.Protocol)}]
		names[p.Name] = p.NodePort
	}
	if !extra {
		return nil
	}
	ports := slices.Clone(wanted.Spec.Ports)
	for i := range ports {
		ports[i].NodePort = names[ports[i].Name]
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/resourceVersion", "value": live.ResourceVersion},
		{"op": "replace", "path": "/spec/ports", "value": ports},
	})
	if err != nil {
		return fmt.Errorf("encoding the ports of Service %s: %w", live.Name, err)
	}
	err = r.options.Client.Patch(ctx, live.DeepCopy(), client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(v1alpha1.ServiceFieldManager))
	if apierrors.IsInvalid(err) {
		return &apply.RefusedError{Kind: "Service", Name: live.Name, Err: err}
	}
	if err != nil {
		return fmt.Errorf("replacing the ports of Service %s: %w", live.Name, err)
	}
	return nil
}
