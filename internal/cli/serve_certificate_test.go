package cli

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/fake"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"

	"github.com/trellis-operator/trellis/internal/certificates"
	"github.com/trellis-operator/trellis/internal/install"
)

// TestCABundleFollows: over three years, two replicas look at the certificate in turn, one of them always a look late.
// At every moment kube-apiserver, which knows the bundle of the APIService, accepts what either of them serves, through
// every renewal of the certificate and of its authority.
func TestCABundleFollows(t *testing.T) {
	const host = "trellis.ops.svc"
	kube := fake.NewClientset()
	clients := install.Clients{Kube: kube, Extensions: apiextensions.NewClientset(), Aggregator: aggregator.NewClientset()}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	replica := func() *servingCertificate {
		return &servingCertificate{
			client: kube, namespace: "ops", hosts: []string{host}, now: func() time.Time { return now },
			trusted: func(ctx context.Context, bundle []byte) error {
				return install.ApplyAPIService(ctx, clients, install.Options{ServiceNamespace: "ops", ServiceName: "trellis", CABundle: bundle})
			},
		}
	}
	replicas := []*servingCertificate{replica(), replica()}
	for _, r := range replicas {
		if err := r.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	authorities := map[string]bool{}
	for day := range 3 * 365 {
		if err := replicas[day%2].refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		service, err := clients.Aggregator.ApiregistrationV1().APIServices().Get(t.Context(), "v1beta1.core.oam.dev", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		trust := x509.NewCertPool()
		if !trust.AppendCertsFromPEM(service.Spec.CABundle) {
			t.Fatal("the bundle holds no certificate")
		}
		for i, r := range replicas {
			shown, _ := r.CurrentCertKeyContent()
			block, _ := pem.Decode(shown)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: trust, DNSName: host, CurrentTime: now}); err != nil {
				t.Fatalf("day %d: kube-apiserver refuses replica %d: %v", day, i, err)
			}
			authorities[string(cert.AuthorityKeyId)] = true
		}
		now = now.Add(24 * time.Hour)
	}
	if len(authorities) < 2 {
		t.Errorf("%d authorities signed in three years of %s each: no rotation was seen", len(authorities), certificates.AuthorityLife)
	}
}
