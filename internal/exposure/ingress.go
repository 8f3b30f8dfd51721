package exposure

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/policy"
)

// makeIngress makes the classic Ingress where routes can't do its work: there are none, or the cluster does not know the
// Gateway API. One that is there stays until Gateways have taken every route, so that nobody is cut off by the change.
// It returns how the Ingress fares; nothing if there is none.
func (r *Reconciler) makeIngress(ctx context.Context, app *Application, service *corev1.Service, ports []served, w *policy.Ingress, routes []finding) ([]finding, error) {
	existing := &networkingv1.Ingress{}
	err := r.options.Client.Get(ctx, types.NamespacedName{Namespace: app.Namespace, Name: serviceName(app.Name)}, existing)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Ingress %s: %w", serviceName(app.Name), err)
	}
	there := err == nil && belongs(existing, app)
	if w == nil || !stands(there, routes) {
		if !there {
			return nil, nil
		}
		if err := r.options.Client.Delete(ctx, existing); err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("removing Ingress %s: %w", existing.Name, err)
		}
		return nil, nil
	}
	at := finding{kind: "Ingress", name: serviceName(app.Name)}
	ingress, found := buildIngress(app, service, ports, w)
	if !found {
		at.reason, at.text = ReasonInvalidPolicy, fmt.Sprintf("the Service has no port named %q; set port in the property ingress to one that it has, or leave it out", w.Port)
		return []finding{at}, nil
	}
	err = r.applier(v1alpha1.FieldManager).Apply(ctx, ingress, func(live client.Object) bool { return belongs(live, app) })
	if err != nil {
		at, err = at.of(err)
		return []finding{at}, err
	}
	return []finding{at}, nil
}

// stands says whether the Ingress is needed, beside these routes.
func stands(there bool, routes []finding) bool {
	for _, f := range routes {
		if f.reason == ReasonNoGatewayAPI || f.reason != "" && there {
			return true
		}
	}
	return len(routes) == 0
}

// buildIngress returns the Ingress of a policy, or false if the port that it names is not there.
func buildIngress(app *Application, service *corev1.Service, ports []served, w *policy.Ingress) (*networkingv1.Ingress, bool) {
	name := w.Port
	if name == "" {
		name = ports[0].name
	}
	known := false
	for _, p := range ports {
		known = known || p.name == name
	}
	ingress := &networkingv1.Ingress{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(app.Name), Namespace: app.Namespace, Labels: labelsOf(app),
			Annotations: map[string]string{ApplicationLabel: app.Name}, OwnerReferences: []metav1.OwnerReference{ownerOf(service)}},
	}
	for key, value := range w.Annotations {
		ingress.Annotations[key] = value
	}
	if w.ClassName != "" {
		ingress.Spec.IngressClassName = new(w.ClassName)
	}
	if w.TLSSecret != "" {
		ingress.Spec.TLS = []networkingv1.IngressTLS{{Hosts: w.Hosts, SecretName: w.TLSSecret}}
	}
	rule := networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: ingressPaths(service.Name, name, w)}}
	hosts := w.Hosts
	if len(hosts) == 0 {
		hosts = []string{""} // every host
	}
	for _, host := range hosts {
		ingress.Spec.Rules = append(ingress.Spec.Rules, networkingv1.IngressRule{Host: host, IngressRuleValue: rule})
	}
	return ingress, known
}

func ingressPaths(service, port string, w *policy.Ingress) []networkingv1.HTTPIngressPath {
	paths, kind := w.Paths, networkingv1.PathType(w.PathType)
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	if kind == "" {
		kind = networkingv1.PathTypePrefix
	}
	backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Name: port}}}
	out := make([]networkingv1.HTTPIngressPath, 0, len(paths))
	for _, path := range paths {
		out = append(out, networkingv1.HTTPIngressPath{Path: path, PathType: new(kind), Backend: backend})
	}
	return out
}
