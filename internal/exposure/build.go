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
	"github.com/trellis-operator/trellis/internal/policy"
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

// buildService returns the Service of an application. What no policy sets stays the user's: type, annotations, node ports.
// The finalizer keeps the address while nobody is there who would make the Service anew.
func buildService(app *Application, ports []served) *corev1.Service {
	service := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(app.Name), Namespace: app.Namespace, Labels: labelsOf(app),
			Annotations: map[string]string{ApplicationLabel: app.Name}, Finalizers: []string{v1alpha1.ServiceFieldManager}},
		Spec: corev1.ServiceSpec{IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack)},
	}
	for _, p := range ports {
		at := corev1.ServicePort{Name: p.name, Port: int32(p.front), Protocol: p.protocol, TargetPort: intstr.FromInt32(int32(p.number))}
		if p.appProtocol != "" {
			at.AppProtocol = new(p.appProtocol)
		}
		service.Spec.Ports = append(service.Spec.Ports, at)
	}
	if app.Policy != nil {
		addSettings(service, app.Policy.Service)
	}
	return service
}

// addSettings sets what policies say about the Service.
func addSettings(service *corev1.Service, s policy.Service) {
	maps.Copy(service.Annotations, s.Annotations)
	for key, value := range s.Labels {
		if _, ours := service.Labels[key]; !ours {
			service.Labels[key] = value
		}
	}
	spec := &service.Spec
	spec.Type, spec.SessionAffinity, spec.ExternalTrafficPolicy = s.Type, s.SessionAffinity, s.ExternalTrafficPolicy
	if s.SessionTimeout > 0 {
		spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(s.SessionTimeout)}}
	}
	if s.InternalTrafficPolicy != "" {
		spec.InternalTrafficPolicy = new(s.InternalTrafficPolicy)
	}
	if s.LoadBalancerClass != "" {
		spec.LoadBalancerClass = new(s.LoadBalancerClass)
	}
	if s.Headless {
		spec.ClusterIP = corev1.ClusterIPNone
	}
}

// buildSlices returns one slice per port and address family, and more where there are many endpoints.
func buildSlices(app *Application, service types.UID, ports []served) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, p := range ports {
		families := map[discoveryv1.AddressType][]discoveryv1.Endpoint{}
		for _, s := range p.by {
			for family, address := range s.addresses() {
				families[family] = append(families[family], s.endpoint(address))
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
		Ports:       []discoveryv1.EndpointPort{slicePort(p)},
	}
}

func slicePort(p served) discoveryv1.EndpointPort {
	out := discoveryv1.EndpointPort{Name: new(p.name), Port: new(int32(p.number)), Protocol: new(p.protocol)}
	if p.appProtocol != "" {
		out.AppProtocol = new(p.appProtocol)
	}
	return out
}
