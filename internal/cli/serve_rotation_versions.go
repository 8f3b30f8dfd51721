package cli

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/internal/rotation"
)

const (
	// looksPerSecond bounds how often all lattices together look at Secrets.
	looksPerSecond = 50
	looksAtOnce    = 100
)

// secretVersions reads the metadata of Secrets by name. Values do not reach this process.
type secretVersions struct{ client metadata.Interface }

var _ rotation.Versions = secretVersions{}

func newSecretVersions(config *rest.Config) (secretVersions, error) {
	config = rest.CopyConfig(config)
	config.RateLimiter, config.QPS, config.Burst = nil, looksPerSecond, looksAtOnce
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return secretVersions{}, fmt.Errorf("make a client for the metadata of Secrets: %w", err)
	}
	return secretVersions{client}, nil
}

// Version is that of rotation.Versions. What kube-apiserver has in memory costs it next to nothing, and may be old: news are
// asked for once more.
func (s secretVersions) Version(ctx context.Context, secret types.NamespacedName, known string) (rotation.Version, error) {
	found, err := s.get(ctx, secret, "0")
	if err != nil || found.ResourceVersion == known {
		return found, err
	}
	return s.get(ctx, secret, "")
}

func (s secretVersions) get(ctx context.Context, secret types.NamespacedName, from string) (rotation.Version, error) {
	found, err := s.client.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(secret.Namespace).
		Get(ctx, secret.Name, metav1.GetOptions{ResourceVersion: from})
	switch {
	case apierrors.IsNotFound(err):
		return rotation.Version{}, nil
	case err != nil:
		return rotation.Version{}, fmt.Errorf("look at Secret %s: %w", secret, err)
	}
	return rotation.Version{ResourceVersion: found.ResourceVersion, Changed: lastWritten(found)}, nil
}

// lastWritten is when somebody last wrote an object, zero if it does not say.
func lastWritten(object *metav1.PartialObjectMetadata) time.Time {
	last := object.CreationTimestamp.Time
	for _, m := range object.ManagedFields {
		if m.Time != nil && m.Time.After(last) {
			last = m.Time.Time
		}
	}
	return last
}
