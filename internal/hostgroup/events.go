package hostgroup

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// EventRecorder is the part of client-go's events.EventRecorder that is used.
type EventRecorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

func (r *Reconciler) event(group *v1alpha1.WasmCloudHostConfig, kind, reason, message string) {
	if r.options.Events != nil {
		r.options.Events.Eventf(group, nil, kind, reason, "Reconcile", "%s", message)
	}
}

// tell records an Event when Ready or its reason changed.
func (r *Reconciler) tell(group *v1alpha1.WasmCloudHostConfig, before *v1alpha1.WasmCloudHostConfigStatus) {
	now := conditions.Find(group.Status.Conditions, conditions.Ready)
	old := conditions.Find(before.Conditions, conditions.Ready)
	if r.options.Events == nil || now == nil || old != nil && old.Status == now.Status && old.Reason == now.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if now.Status == metav1.ConditionFalse && now.Reason != v1alpha1.ReasonRollingOut {
		kind = corev1.EventTypeWarning
	}
	r.options.Events.Eventf(group, nil, kind, now.Reason, "Reconcile", "%s", now.Message)
}
