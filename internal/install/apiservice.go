package install

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const (
	pollInterval = 100 * time.Millisecond

	apiServiceName = "v1beta1.core.oam.dev"
	foreignCRD     = "applications.core.oam.dev"

	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "trellis"
	partOfLabel    = "app.kubernetes.io/part-of"
)

// wasmCloudServices are the Services that wasmCloud's operator registered; what they serve is taken over.
var wasmCloudServices = []string{"wadm-operator", "wasmcloud-operator"}

// ApplyAPIService makes kube-apiserver send requests for applications to the Service. It writes nothing if that is so
// already. Called again with another CABundle it changes the bundle.
func ApplyAPIService(ctx context.Context, clients Clients, options Options) error {
	if err := preflight(ctx, clients); err != nil {
		return err
	}
	desired, err := apiService(ctx, clients, options)
	if err != nil {
		return err
	}
	services := clients.Aggregator.ApiregistrationV1().APIServices()
	err = retry.OnError(retry.DefaultRetry, lostRace, func() error {
		live, err := services.Get(ctx, apiServiceName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = services.Create(ctx, desired, metav1.CreateOptions{})
			return err
		} else if err != nil {
			return err
		}
		if owner := foreignOwner(live, options); owner != "" {
			return &ForeignError{What: "APIService " + apiServiceName, Owner: owner}
		}
		changed := adopt(live, desired)
		if equality.Semantic.DeepEqual(live, changed) {
			return nil
		}
		_, err = services.Update(ctx, changed, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("registering APIService %s: %w", apiServiceName, err)
	}
	return nil
}

// preflight looks for the kind of another product: KubeVela serves applications of the same group by a
// CustomResourceDefinition, which an APIService would cut off.
func preflight(ctx context.Context, clients Clients) error {
	_, err := clients.Extensions.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, foreignCRD, metav1.GetOptions{})
	switch {
	case err == nil:
		return &ForeignError{What: "CustomResourceDefinition " + foreignCRD, Owner: "another product (KubeVela has one)"}
	case apierrors.IsNotFound(err):
		return nil
	}
	return fmt.Errorf("looking for CustomResourceDefinition %s: %w", foreignCRD, err)
}

// foreignOwner says whose the APIService is, or nothing if it is ours or that of wasmCloud's operator.
func foreignOwner(live *apiregistrationv1.APIService, options Options) string {
	service := live.Spec.Service
	switch {
	case service == nil:
		return "a CustomResourceDefinition of the group core.oam.dev"
	case service.Namespace == options.ServiceNamespace && service.Name == options.ServiceName:
		return ""
	case live.Labels[managedByLabel] == managedBy:
		return fmt.Sprintf("the Trellis in namespace %s", service.Namespace)
	case slices.Contains(wasmCloudServices, service.Name):
		return ""
	}
	return fmt.Sprintf("Service %s/%s", service.Namespace, service.Name)
}

func apiService(ctx context.Context, clients Clients, options Options) (*apiregistrationv1.APIService, error) {
	port := options.ServicePort
	if port == 0 {
		port = 443
	}
	service := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: apiServiceName, Labels: map[string]string{managedByLabel: managedBy, partOfLabel: managedBy}},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "core.oam.dev", Version: "v1beta1", GroupPriorityMinimum: 2100, VersionPriority: 100, CABundle: options.CABundle,
			Service: &apiregistrationv1.ServiceReference{Namespace: options.ServiceNamespace, Name: options.ServiceName, Port: &port},
		},
	}
	if options.OwnerClusterRole == "" {
		return service, nil
	}
	role, err := clients.Kube.RbacV1().ClusterRoles().Get(ctx, options.OwnerClusterRole, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading ClusterRole %s, which owns the APIService: %w", options.OwnerClusterRole, err)
	}
	service.OwnerReferences = []metav1.OwnerReference{{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: role.Name, UID: role.UID}}
	return service, nil
}

// adopt returns live as desired, with other people's labels and annotations.
func adopt(live, desired *apiregistrationv1.APIService) *apiregistrationv1.APIService {
	out := live.DeepCopy()
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	for key, value := range desired.Labels {
		out.Labels[key] = value
	}
	out.OwnerReferences = desired.OwnerReferences
	out.Spec = desired.Spec
	return out
}
