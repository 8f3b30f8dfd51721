package exposure

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// maxEndpoints is how many endpoints one slice holds, as in Kubernetes' own controller.
const maxEndpoints = 100

// labelsOf names what an object belongs to. The first two are those of wasmCloud's operator.
func labelsOf(app *Application) map[string]string {
	return map[string]string{
		v1alpha1.AppNameLabel:   labelValue(app.Name),
		v1alpha1.ManagedByLabel: v1alpha1.ManagedBy,
		ApplicationLabel:        labelValue(app.Name),
		ApplicationUIDLabel:     string(app.UID),
		LatticeLabel:            labelValue(app.Lattice),
	}
}

// buildService returns the Service of an application. Type, annotations and node ports stay the user's.
func buildService(app *Application, ports []served) *corev1.Service {
	service := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(app.Name), Namespace: app.Namespace, Labels: labelsOf(app),
			Annotations: map[string]string{ApplicationLabel: app.Name}},
		Spec: corev1.ServiceSpec{IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack)},
	}
	for _, p := range ports {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: p.name, Port: int32(p.number),
			Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(int32(p.number))})
	}
	return service
}

// namePorts names ports as wasmCloud's operator did: the first is http.
func namePorts(ports []port) []served {
	var out []served
	for _, p := range ports {
		name := "http"
		if len(out) > 0 {
			name = fmt.Sprintf("http-%d", p.number)
		}
		out = append(out, served{name: name, number: p.number})
	}
	return out
}

// buildSlices returns one slice per port and address family, and more where there are many endpoints.
func buildSlices(app *Application, service types.UID, ports []served) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, p := range ports {
		families := map[discoveryv1.AddressType][]discoveryv1.Endpoint{}
		for _, s := range p.pods {
			for family, address := range addressesOf(s.pod) {
				families[family] = append(families[family], endpoint(s.pod, address))
			}
		}
		for _, family := range slices.Sorted(maps.Keys(families)) {
			for i, chunk := range slices.Collect(slices.Chunk(families[family], maxEndpoints)) {
				out = append(out, buildSlice(app, service, p, family, i, chunk))
			}
		}
	}
	return out
}

func buildSlice(app *Application, service types.UID, p served, family discoveryv1.AddressType, index int, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	name := serviceName(app.Name)
	labels := labelsOf(app)
	labels[discoveryv1.LabelServiceName] = name
	labels[discoveryv1.LabelManagedBy] = SliceManager
	return &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        fmt.Sprintf("%s-%s-%s-%d", name, p.name, strings.ToLower(string(family)), index),
			Namespace:   app.Namespace,
			Labels:      labels,
			Annotations: map[string]string{ApplicationLabel: app.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: name, UID: service,
				Controller: new(true)}},
		},
		AddressType: family,
		Endpoints:   endpoints,
		Ports:       []discoveryv1.EndpointPort{{Name: new(p.name), Port: new(int32(p.number)), Protocol: new(corev1.ProtocolTCP)}},
	}
}
