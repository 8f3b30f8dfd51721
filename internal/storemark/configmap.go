package storemark

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// ConfigMapName is the ConfigMap in the namespace of the operator.
const ConfigMapName = "trellis-store"

// ConfigMap is the shelf of `trellis serve`.
type ConfigMap struct {
	// Client works in the namespace of the operator.
	Client typedcorev1.ConfigMapInterface
	// Labels of the ConfigMap when it is made.
	Labels map[string]string
}

var _ Shelf = (*ConfigMap)(nil)

// existing begins the version of every ConfigMap that exists.
const existing = "resourceVersion:"

// Load implements Shelf.
func (c *ConfigMap) Load(ctx context.Context) (Record, string, error) {
	kept, err := c.Client.Get(ctx, ConfigMapName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Record{}, "", ErrNone
	}
	if err != nil {
		return Record{}, "", fmt.Errorf("read ConfigMap %s: %w", ConfigMapName, err)
	}
	record, err := Parse(kept.Data)
	if err != nil {
		return Record{}, "", fmt.Errorf("read ConfigMap %s: %w; put it right, or delete it if the store in NATS is the right one", ConfigMapName, err)
	}
	return record, existing + kept.ResourceVersion, nil
}

// Save implements Shelf. Labels and annotations of others stay.
func (c *ConfigMap) Save(ctx context.Context, r Record, version string) (err error) {
	if version == "" {
		_, err = c.Client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: ConfigMapName, Labels: c.Labels}, Data: r.Data(),
		}, metav1.CreateOptions{})
	} else {
		err = c.replace(ctx, r, version)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return ErrConflict
	}
	if err != nil {
		return fmt.Errorf("write ConfigMap %s: %w", ConfigMapName, err)
	}
	return nil
}

func (c *ConfigMap) replace(ctx context.Context, r Record, version string) error {
	kept, err := c.Client.Get(ctx, ConfigMapName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	kept.ResourceVersion, kept.Data = strings.TrimPrefix(version, existing), r.Data()
	_, err = c.Client.Update(ctx, kept, metav1.UpdateOptions{})
	return err
}
