package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/trellis-operator/trellis/internal/secrets"
)

const (
	// secretsKeySuffix ends the name of the Secret with the curve keys; what is before it is the name of the release.
	secretsKeySuffix = "-secrets-key"
	// currentKey is the key within it of the seed that is announced to hosts; those that begin with previousKeys are
	// accepted still.
	currentKey   = "current"
	previousKeys = "previous-"
)

// secretKeys are the curve keys that all replicas share, in a Secret. Hosts keep the announced one for life, so it is made
// once and never by two.
type secretKeys struct {
	client          kubernetes.Interface
	namespace, name string
}

// read returns the keys, and makes the first one if there is no Secret. No error holds a seed.
func (k *secretKeys) read(ctx context.Context) (*secrets.Keyring, error) {
	api := k.client.CoreV1().Secrets(k.namespace)
	kept, err := api.Get(ctx, k.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		kept, err = k.create(ctx)
	}
	if apierrors.IsAlreadyExists(err) { // another replica was faster
		kept, err = api.Get(ctx, k.name, metav1.GetOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("look after the keys of secrets in Secret %s/%s: %w", k.namespace, k.name, err)
	}
	ring, err := ringOf(kept)
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w; restore it, or delete it and restart all hosts", k.namespace, k.name, err)
	}
	return ring, nil
}

func (k *secretKeys) create(ctx context.Context) (*corev1.Secret, error) {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	return k.client.CoreV1().Secrets(k.namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: k.name, Labels: ownLabels()}, Data: map[string][]byte{currentKey: seed},
	}, metav1.CreateOptions{})
}

// ringOf puts the current key before the others.
func ringOf(kept *corev1.Secret) (*secrets.Keyring, error) {
	if len(kept.Data[currentKey]) == 0 {
		return nil, fmt.Errorf("it has no key %q", currentKey)
	}
	keys := []secrets.Key{{Seed: kept.Data[currentKey]}}
	for _, name := range slices.Sorted(maps.Keys(kept.Data)) {
		if strings.HasPrefix(name, previousKeys) {
			keys = append(keys, secrets.Key{Seed: kept.Data[name]})
		}
	}
	if len(keys) == 1 { // else the current one is younger than the Secret
		keys[0].Made = kept.CreationTimestamp.Time
	}
	return secrets.NewKeyring(keys...)
}
