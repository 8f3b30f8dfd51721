package exposure

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/trellis-operator/trellis/internal/apply"
	"github.com/trellis-operator/trellis/internal/policy"
)

// maxKept is how many bytes of annotations are kept.
const maxKept = 4096

// keptOf returns what users set on a Service.
func keptOf(service *corev1.Service, app *Application) Kept {
	var set policy.Service
	if app.Policy != nil {
		set = app.Policy.Service
	}
	kept := Kept{Annotations: keptAnnotations(service.Annotations, set.Annotations)}
	if t := service.Spec.Type; set.Type == "" && t != corev1.ServiceTypeClusterIP {
		kept.Type = t
	}
	for _, p := range service.Spec.Ports {
		if p.NodePort == 0 {
			continue
		}
		if kept.NodePorts == nil {
			kept.NodePorts = map[string]int32{}
		}
		kept.NodePorts[p.Name] = p.NodePort
	}
	return kept
}

// keptAnnotations are those of users, in order, as far as there is room.
func keptAnnotations(live, ofPolicy map[string]string) map[string]string {
	var kept map[string]string
	size := 0
	for _, key := range slices.Sorted(maps.Keys(live)) {
		if _, ours := ofPolicy[key]; ours || key == ApplicationLabel || key == apply.Annotation || key == corev1.LastAppliedConfigAnnotation {
			continue
		}
		if size += len(key) + len(live[key]); size > maxKept {
			break
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[key] = live[key]
	}
	return kept
}

func (k Kept) empty() bool { return k.Type == "" && len(k.Annotations) == 0 && len(k.NodePorts) == 0 }

func (k Kept) equal(other Kept) bool {
	return k.Type == other.Type && maps.Equal(k.Annotations, other.Annotations) && maps.Equal(k.NodePorts, other.NodePorts)
}
