package install

import (
	"context"
	"errors"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensionsfake "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/fake"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorfake "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
)

const crdName = "wasmcloudhostconfigs.k8s.wasmcloud.dev"

var options = Options{ServiceNamespace: "trellis-system", ServiceName: "trellis", CABundle: []byte("ca"), OwnerClusterRole: "trellis"}

type cluster struct {
	Clients
	extensions *extensionsfake.Clientset
	aggregator *aggregatorfake.Clientset
}

func newCluster(extensions, aggregator []runtime.Object) *cluster {
	c := &cluster{extensions: extensionsfake.NewClientset(extensions...), aggregator: aggregatorfake.NewSimpleClientset(aggregator...)}
	// The fake serves a kind as soon as it is there.
	c.extensions.PrependReactor("create", "customresourcedefinitions", func(a clienttesting.Action) (bool, runtime.Object, error) {
		establish(a.(clienttesting.CreateAction).GetObject().(*apiextensionsv1.CustomResourceDefinition))
		return false, nil, nil
	})
	c.Clients = Clients{Extensions: c.extensions, Aggregator: c.aggregator,
		Kube: fake.NewClientset(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "trellis", UID: "role-uid"}})}
	return c
}

func establish(crd *apiextensionsv1.CustomResourceDefinition) {
	crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
}

func (c *cluster) writes() (out []string) {
	for _, a := range append(c.extensions.Actions(), c.aggregator.Actions()...) {
		if a.GetVerb() != "get" {
			out = append(out, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	c.extensions.ClearActions()
	c.aggregator.ClearActions()
	return out
}

func (c *cluster) apiService(t *testing.T) *apiregistrationv1.APIService {
	t.Helper()
	s, err := c.aggregator.ApiregistrationV1().APIServices().Get(context.Background(), apiServiceName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestApply_OnceAndAgain(t *testing.T) {
	c := newCluster(nil, nil)
	ctx := context.Background()
	if err := Apply(ctx, c.Clients, options); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.writes(), ", "); got != "create customresourcedefinitions, create customresourcedefinitions, create apiservices" {
		t.Errorf("wrote %s", got)
	}
	s := c.apiService(t)
	if s.OwnerReferences[0].UID != "role-uid" || string(s.Spec.CABundle) != "ca" || s.Spec.InsecureSkipTLSVerify || *s.Spec.Service.Port != 443 {
		t.Errorf("APIService = %+v", s)
	}
	if err := Apply(ctx, c.Clients, options); err != nil {
		t.Fatal(err)
	}
	if got := c.writes(); got != nil {
		t.Errorf("wrote %v again", got)
	}
	rotated := options
	rotated.CABundle = []byte("new")
	if err := Apply(ctx, c.Clients, rotated); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.writes(), ", "); got != "update apiservices" || string(c.apiService(t).Spec.CABundle) != "new" {
		t.Errorf("wrote %s after the bundle changed", got)
	}
}

func TestApply_TakesOverWasmCloud(t *testing.T) {
	old := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: crdName, Annotations: map[string]string{"kept": "yes"}}}
	establish(old)
	service := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: apiServiceName},
		Spec: apiregistrationv1.APIServiceSpec{InsecureSkipTLSVerify: true, Service: &apiregistrationv1.ServiceReference{Namespace: "wadm", Name: "wadm-operator"}}}
	c := newCluster([]runtime.Object{old}, []runtime.Object{service})
	if err := Apply(context.Background(), c.Clients, options); err != nil {
		t.Fatal(err)
	}
	crd, err := c.extensions.ApiextensionsV1().CustomResourceDefinitions().Get(context.Background(), crdName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if crd.Annotations["kept"] != "yes" || crd.Annotations[revisionAnnotation] == "" || len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Subresources.Scale == nil {
		t.Errorf("definition = %+v", crd)
	}
	if s := c.apiService(t); s.Spec.InsecureSkipTLSVerify || s.Spec.Service.Name != "trellis" {
		t.Errorf("APIService = %+v", s)
	}
}

func TestApply_KeepsTheSchemaOfANewerRelease(t *testing.T) {
	var newer []runtime.Object
	for _, name := range []string{crdName, "secretgrants.k8s.wasmcloud.dev"} {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{revisionAnnotation: "999"}}}
		establish(crd)
		newer = append(newer, crd)
	}
	c := newCluster(newer, nil)
	if err := ApplyCRDs(context.Background(), c.Clients); err != nil {
		t.Fatal(err)
	}
	if got := c.writes(); got != nil {
		t.Errorf("wrote %v", got)
	}
}

func TestApply_Errors(t *testing.T) {
	vela := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: foreignCRD}}
	service := func(ref *apiregistrationv1.ServiceReference, labels map[string]string) *apiregistrationv1.APIService {
		return &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: apiServiceName, Labels: labels}, Spec: apiregistrationv1.APIServiceSpec{Service: ref}}
	}
	for name, tc := range map[string]struct {
		extensions, aggregator []runtime.Object
		says                   string
	}{
		"KubeVela":         {extensions: []runtime.Object{vela}, says: "KubeVela"},
		"local APIService": {aggregator: []runtime.Object{service(nil, nil)}, says: "CustomResourceDefinition"},
		"someone else's":   {aggregator: []runtime.Object{service(&apiregistrationv1.ServiceReference{Namespace: "x", Name: "y"}, nil)}, says: "Service x/y"},
		"another Trellis":  {aggregator: []runtime.Object{service(&apiregistrationv1.ServiceReference{Namespace: "x", Name: "trellis"}, map[string]string{managedByLabel: managedBy})}, says: "namespace x"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(tc.extensions, tc.aggregator)
			err := Apply(context.Background(), c.Clients, options)
			var foreign *ForeignError
			if !errors.As(err, &foreign) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error = %v", err)
			}
			if _, err := c.extensions.ApiextensionsV1().CustomResourceDefinitions().Get(context.Background(), crdName, metav1.GetOptions{}); err != nil {
				t.Errorf("host groups are not registered: %v", err)
			}
		})
	}
}
