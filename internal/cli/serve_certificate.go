package cli

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"

	"github.com/trellis-operator/trellis/internal/certificates"
)

const (
	authorityName     = "trellis"
	certificateSecret = "trellis-serving-certificate"
	// certificateCheck is how often replicas look whether the certificate must be renewed, or was by another.
	certificateCheck = 10 * time.Minute
	certificateTries = 5
)

// servingCertificate is the certificate that all replicas serve with. It is made at run time, kept in a Secret, renewed
// by whichever replica comes first, and followed without a restart.
type servingCertificate struct {
	client    kubernetes.Interface
	namespace string
	hosts     []string
	// trusted is told the bundle that clients need whenever it was looked at.
	trusted func(ctx context.Context, bundle []byte) error
	// now tells the time.
	now func() time.Time

	mu        sync.Mutex
	pair      certificates.Pair
	listeners []dynamiccertificates.Listener
}

var _ dynamiccertificates.CertKeyContentProvider = (*servingCertificate)(nil)

// Name is for messages.
func (c *servingCertificate) Name() string {
	return "serving certificate of Secret " + certificateSecret
}

// CurrentCertKeyContent is what to serve with now.
func (c *servingCertificate) CurrentCertKeyContent() (cert, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair.Cert, c.pair.Key
}

// AddListener tells a listener about changes.
func (c *servingCertificate) AddListener(listener dynamiccertificates.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, listener)
}

// run looks after the certificate until ctx ends; refresh must have succeeded once.
func (c *servingCertificate) run(ctx context.Context) error {
	ticker := time.NewTicker(certificateCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := c.refresh(ctx); err != nil {
				logr.FromContextOrDiscard(ctx).Error(err, "The serving certificate could not be looked after; it is tried again", "in", certificateCheck.String())
			}
		}
	}
}

// refresh reads the certificate, renews it if it is time, and serves with it.
func (c *servingCertificate) refresh(ctx context.Context) error {
	for range certificateTries {
		serving, err := c.readOrRenew(ctx)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue // another replica was faster; what it wrote is read now
		}
		if err != nil {
			return fmt.Errorf("look after Secret %s/%s: %w", c.namespace, certificateSecret, err)
		}
		c.use(serving.Pair())
		return c.trusted(ctx, serving.Trust())
	}
	return fmt.Errorf("secret %s/%s was changed by others %d times in a row", c.namespace, certificateSecret, certificateTries)
}

func (c *servingCertificate) readOrRenew(ctx context.Context) (*certificates.Serving, error) {
	secrets := c.client.CoreV1().Secrets(c.namespace)
	kept, err := secrets.Get(ctx, certificateSecret, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return nil, err
	}
	var known *certificates.Serving
	if !missing {
		if known, err = certificates.ParseServing(kept.Data); err != nil {
			known = nil // unreadable is as good as missing: nothing else could be served with it
		}
	}
	serving, changed, err := certificates.Renew(known, authorityName, c.hosts, c.now())
	if err != nil || !changed {
		return serving, err
	}
	if missing {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: certificateSecret, Labels: ownLabels()}, Data: serving.Secret(),
		}, metav1.CreateOptions{})
		return serving, err
	}
	kept.Data = serving.Secret()
	_, err = secrets.Update(ctx, kept, metav1.UpdateOptions{})
	return serving, err
}

func (c *servingCertificate) use(pair certificates.Pair) {
	c.mu.Lock()
	changed := !bytes.Equal(pair.Cert, c.pair.Cert)
	c.pair = pair
	listeners := c.listeners
	c.mu.Unlock()
	if !changed {
		return
	}
	for _, l := range listeners {
		l.Enqueue()
	}
}

// ownLabels mark objects that the operator makes for itself.
func ownLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "trellis", "app.kubernetes.io/managed-by": "trellis"}
}
