package install

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

const (
	// revisionAnnotation numbers the schemas of Trellis. While two releases run side by side the newer one stays.
	revisionAnnotation = "k8s.wasmcloud.dev/schema-revision"
	// schemaRevision is raised with every change of the schema.
	schemaRevision = 3
)

// ApplyCRDs makes the kinds of host groups and grants known and returns once they are served. A definition of wasmCloud's
// operator is replaced, one of a newer release of Trellis is kept.
func ApplyCRDs(ctx context.Context, clients Clients) error {
	for _, text := range v1alpha1.CRDs() {
		desired, err := definition(text)
		if err != nil {
			return err
		}
		if err := apply(ctx, clients, desired); err != nil {
			return err
		}
	}
	return nil
}

func apply(ctx context.Context, clients Clients, desired *apiextensionsv1.CustomResourceDefinition) error {
	definitions := clients.Extensions.ApiextensionsV1().CustomResourceDefinitions()
	err := retry.OnError(retry.DefaultRetry, lostRace, func() error {
		live, err := definitions.Get(ctx, desired.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = definitions.Create(ctx, desired, metav1.CreateOptions{})
			return err
		} else if err != nil {
			return err
		}
		if !outdated(live, desired) {
			return nil
		}
		live = live.DeepCopy()
		live.Spec = desired.Spec
		if live.Annotations == nil {
			live.Annotations = map[string]string{}
		}
		maps.Copy(live.Annotations, desired.Annotations)
		_, err = definitions.Update(ctx, live, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("registering %s: %w", desired.Name, err)
	}
	return awaitEstablished(ctx, clients, desired.Name)
}

// lostRace says whether another replica was faster.
func lostRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

func definition(text string) (*apiextensionsv1.CustomResourceDefinition, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict([]byte(text), &crd); err != nil {
		return nil, fmt.Errorf("the generated definition can't be read: %w", err)
	}
	if crd.Annotations == nil {
		crd.Annotations = map[string]string{}
	}
	crd.Annotations[revisionAnnotation] = strconv.Itoa(schemaRevision)
	// As the server stores it, so that it can be compared.
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&crd)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	return &crd, nil
}

func outdated(live, desired *apiextensionsv1.CustomResourceDefinition) bool {
	revision, err := strconv.Atoi(live.Annotations[revisionAnnotation])
	if err == nil && revision > schemaRevision {
		return false
	}
	return err != nil || revision < schemaRevision || !equality.Semantic.DeepEqual(live.Spec, desired.Spec)
}

func awaitEstablished(ctx context.Context, clients Clients, name string) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, established, true, func(ctx context.Context) (bool, error) {
		crd, err := clients.Extensions.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range crd.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("%s is not served yet: %w", name, err)
	}
	return nil
}
