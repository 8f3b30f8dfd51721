package apiserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
)

const (
	informerResync = 10 * time.Minute
	// clusterQPS bounds what admission asks kube-apiserver; client-go's default of 5 would bound our writes instead.
	clusterQPS = 200
)

// cluster is what the server sees of Kubernetes.
type cluster struct {
	informers  informers.SharedInformerFactory
	namespaces corelisters.NamespaceLister
	client     kubernetes.Interface
	dynamic    dynamic.Interface
}

func newCluster(config *rest.Config) (*cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = clusterQPS, 2*clusterQPS
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a dynamic client of kube-apiserver: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, informerResync)
	return &cluster{
		informers: factory, namespaces: factory.Core().V1().Namespaces().Lister(), client: client, dynamic: dyn,
	}, nil
}

// informersOrNil hides that there is no cluster in dev; a nil pointer in an interface would not be nil.
func (c *cluster) informersOrNil() informers.SharedInformerFactory {
	if c == nil {
		return nil
	}
	return c.informers
}

// terminating says whether a namespace is being deleted.
func (c *cluster) terminating(namespace string) bool {
	if c == nil {
		return false
	}
	found, err := c.namespaces.Get(namespace)
	return err == nil && found.Status.Phase == corev1.NamespaceTerminating
}

// namespaceUID is empty for a namespace that is not known.
func (c *cluster) namespaceUID(namespace string) string {
	if c == nil {
		return ""
	}
	found, err := c.namespaces.Get(namespace)
	if err != nil {
		return ""
	}
	return string(found.UID)
}

// lost says whether the namespace of an object is gone for certain: another one has its name now, or kube-apiserver itself
// says that there is none.
func (c *cluster) lost(ctx context.Context, namespace, uid string) bool {
	if uid == "" || c.namespaceUID(namespace) == uid {
		return false
	}
	found, err := c.client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	return string(found.UID) != uid
}

// admit wires admission: the objects of an aggregated API never pass kube-apiserver's own. Policies and webhooks of the
// cluster, its quotas, and the rule that nothing is created in a namespace that is being deleted.
func (c *cluster) admit(config *server.Config) error {
	o := options.NewAdmissionOptions()
	resourcequota.Register(o.Plugins)
	o.RecommendedPluginOrder = append(o.RecommendedPluginOrder, resourcequota.PluginName)
	served, err := c.servesMutatingPolicies()
	if err != nil {
		return err
	}
	if !served {
		o.DisablePlugins = append(o.DisablePlugins, mutatingpolicy.PluginName)
	}
	err = o.ApplyTo(config, c.informers, c.client, c.dynamic, config.FeatureGate, config.EffectiveVersion, quotas{})
	if err != nil {
		return fmt.Errorf("set admission up: %w", err)
	}
	return nil
}

// servesMutatingPolicies says whether the cluster has mutating admission policies, which came late. The plugin waits for
// its informers before it lets any write pass, so in a cluster without them it would let none.
func (c *cluster) servesMutatingPolicies() (bool, error) {
	list, err := c.client.Discovery().ServerResourcesForGroupVersion(admissionregistrationv1.SchemeGroupVersion.String())
	if err != nil {
		return false, fmt.Errorf("ask kube-apiserver for its admission policies: %w", err)
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool {
		return r.Name == "mutatingadmissionpolicies"
	}), nil
}

// quotas gives the quota plugin its evaluators: none, as for custom resources, which are counted by
// `count/applications.core.oam.dev`.
type quotas struct{}

var _ admission.PluginInitializer = quotas{}

// Initialize implements admission.PluginInitializer.
func (quotas) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(initializer.WantsQuotaConfiguration); ok {
		wants.SetQuotaConfiguration(generic.NewConfiguration(nil, nil))
	}
}
