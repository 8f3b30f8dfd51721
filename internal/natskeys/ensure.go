package natskeys

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Secrets reads and writes Secrets of one namespace. client-go's SecretInterface is one.
type Secrets interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*corev1.Secret, error)
	Create(ctx context.Context, secret *corev1.Secret, opts metav1.CreateOptions) (*corev1.Secret, error)
	Update(ctx context.Context, secret *corev1.Secret, opts metav1.UpdateOptions) (*corev1.Secret, error)
}

// Ensure completes the three Secrets whose names begin with prefix, and returns what it made. Run again it changes
// nothing; two at once are safe, one of them fails with a conflict and is to be run again.
//
// The keys are written first: a crash in between leaves keys without accounts, which the next run mends, never accounts
// without keys.
func Ensure(ctx context.Context, secrets Secrets, prefix string, lattices []string, labels map[string]string) ([]string, error) {
	var system System
	parts := []struct {
		suffix string
		files  *Files
		live   *corev1.Secret
		before Files
	}{{suffix: SecretKeys, files: &system.Keys}, {suffix: SecretOperator, files: &system.Operator}, {suffix: SecretAccounts, files: &system.Accounts}}
	for i := range parts {
		live, err := secrets.Get(ctx, prefix+parts[i].suffix, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("reading Secret %s: %w", prefix+parts[i].suffix, err)
		}
		parts[i].live, parts[i].before = live, live.Data
		*parts[i].files = maps.Clone(Files(live.Data))
	}
	made, err := system.Complete(lattices)
	if err != nil {
		return nil, fmt.Errorf("making the keys of NATS: %w", err)
	}
	for _, p := range parts {
		if p.live != nil && reflect.DeepEqual(p.before, *p.files) {
			continue
		}
		if err := write(ctx, secrets, p.live, prefix+p.suffix, *p.files, labels); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func write(ctx context.Context, secrets Secrets, live *corev1.Secret, name string, files Files, labels map[string]string) error {
	if live == nil {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Type: corev1.SecretTypeOpaque, Data: files}
		if _, err := secrets.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating Secret %s: %w", name, err)
		}
		return nil
	}
	live = live.DeepCopy()
	live.Data = files
	if _, err := secrets.Update(ctx, live, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("updating Secret %s: %w", name, err)
	}
	return nil
}
