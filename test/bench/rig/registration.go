package rig

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/test/twin"
)

// apiNamespace holds the Service by which kube-apiserver reaches this machine's trellis.
const apiNamespace = "trellis-bench"

// makeNamespaces makes namespaces.
func makeNamespaces(ctx context.Context, config *rest.Config, names []string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	for _, name := range names {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("make namespace %s: %w", name, err)
		}
	}
	return nil
}

// aggregate makes kube-apiserver pass requests for core.oam.dev on to a port of this machine. The Service is not the one
// that trellis would register, which then lets the registration be: it could name no port of its own.
func aggregate(ctx context.Context, config *rest.Config, port int32) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	registry, err := aggregator.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for API services: %w", err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "trellis"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}}
	if _, err := client.CoreV1().Services(apiNamespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make the Service of the Application API: %w", err)
	}
	api := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1beta1." + oam.GroupName, Labels: map[string]string{"app.kubernetes.io/managed-by": "trellis"}},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: oam.GroupName, Version: oam.Version, GroupPriorityMinimum: 2100, VersionPriority: 100, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: apiNamespace, Name: "trellis", Port: &port},
		},
	}
	if _, err := registry.ApiregistrationV1().APIServices().Create(ctx, api, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("register the Application API: %w", err)
	}
	return nil
}

// Served waits until kube-apiserver answers a list of applications of a group.
func (k *Kube) Served(ctx context.Context, group string) error {
	client, err := rest.HTTPClientFor(k.Config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	defer client.CloseIdleConnections()
	return k.server.await(ctx, answers(client, k.Config.Host+"/apis/"+group+"/"+oam.Version+"/"+twin.Resource+"?limit=1"))
}
