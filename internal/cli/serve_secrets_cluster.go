package cli

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/grants"
)

var (
	_ grants.Reader = secretReader{}
	_ grants.Lister = grantLister{}
)

// secretReader reads one Secret by its name, anew each time: Secrets are neither listed nor cached.
type secretReader struct{ client typedcorev1.SecretsGetter }

func (r secretReader) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return r.client.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

// grantLister lists from the manager's cache.
type grantLister struct{ reader client.Reader }

func (l grantLister) Grants(ctx context.Context, namespace string) ([]*v1alpha1.SecretGrant, error) {
	var list v1alpha1.SecretGrantList
	if err := l.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list the grants of namespace %s: %w", namespace, err)
	}
	found := make([]*v1alpha1.SecretGrant, 0, len(list.Items))
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	return found, nil
}

// watchForSecrets fills the caches that requests for secrets are answered from, before the first one waits for them.
func watchForSecrets(ctx context.Context, objects cache.Cache) error {
	for _, kind := range []client.Object{&v1alpha1.SecretGrant{}, &corev1.Namespace{}} {
		if _, err := objects.GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watch what decides about secrets: %w", err)
		}
	}
	return nil
}

// cachedNamespaces is namespacesOf without a question to the cluster for each request.
func cachedNamespaces(reader client.Reader) livingNamespace {
	return func(ctx context.Context, name string) (string, error) {
		var found corev1.Namespace
		err := reader.Get(ctx, types.NamespacedName{Name: name}, &found)
		if client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("look at namespace %q: %w", name, err)
		}
		if err != nil || found.DeletionTimestamp != nil {
			return "", nil
		}
		return string(found.UID), nil
	}
}
