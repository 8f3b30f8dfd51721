// Package install registers Trellis with the cluster at run time: the CustomResourceDefinitions of host groups and grants
// and the APIService of applications. Not the chart: they may be there already, from wasmCloud's operator, which is taken
// over, or from someone else, who is left alone.
package install

import (
	"context"
	"fmt"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/client-go/kubernetes"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// Clients reach the API server that is registered with.
type Clients struct {
	Kube       kubernetes.Interface
	Extensions apiextensions.Interface
	Aggregator aggregator.Interface
}

// Options say what is registered.
type Options struct {
	// ServiceNamespace and ServiceName name the Service in front of the API server.
	ServiceNamespace string
	ServiceName      string
	// ServicePort defaults to 443.
	ServicePort int32
	// CABundle verifies the serving certificate, in PEM.
	CABundle []byte
	// OwnerClusterRole is the ClusterRole of the chart that owns the APIService, so that any uninstaller removes it.
	// Empty: no owner.
	OwnerClusterRole string
}

// established is how long a new kind may take to be served.
const established = 30 * time.Second

// Apply registers all of it. The kinds of host groups and grants are registered even if the group of applications belongs to someone
// else, which is a *ForeignError.
func Apply(ctx context.Context, clients Clients, options Options) error {
	if err := ApplyCRDs(ctx, clients); err != nil {
		return err
	}
	return ApplyAPIService(ctx, clients, options)
}

// ForeignError says that the group of applications belongs to someone else. Trellis does not take it: host groups work,
// applications do not.
type ForeignError struct {
	// What it is that is in the way, and whose.
	What, Owner string
}

// Error returns a sentence with the next step.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s belongs to %s: applications can't be served beside it; remove it, or run Trellis in another cluster", e.What, e.Owner)
}
