package cli

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// TestSecretReader: the keeper tells absent from forbidden by the errors of the API.
func TestSecretReader(t *testing.T) {
	reader := secretReader{fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}}).CoreV1()}
	if _, err := reader.Secret(t.Context(), "team-b", "app"); !apierrors.IsNotFound(err) {
		t.Errorf("error = %v, want NotFound", err)
	}
	if got, err := reader.Secret(t.Context(), "team-a", "app"); err != nil || got.Name != "app" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestGrantLister(t *testing.T) {
	if _, err := (grantLister{brokenReader{}}).Grants(t.Context(), "team-a"); !errors.Is(err, errAway) {
		t.Errorf("error = %v", err)
	}
	grant := func(namespace string) *v1alpha1.SecretGrant {
		return &v1alpha1.SecretGrant{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "g"}}
	}
	got, err := grantLister{fakeReader(t, grant("team-a"), grant("team-b"))}.Grants(t.Context(), "team-a")
	if err != nil || len(got) != 1 || got[0].Namespace != "team-a" {
		t.Errorf("%v, %v; want that of team-a", got, err)
	}
}

// TestCachedNamespaces: one that is gone or going is none.
func TestCachedNamespaces(t *testing.T) {
	if _, err := cachedNamespaces(brokenReader{})(t.Context(), "a"); !errors.Is(err, errAway) {
		t.Errorf("error = %v", err)
	}
	ending := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ending", UID: "2", Finalizers: []string{"a/b"}, DeletionTimestamp: new(metav1.Now())}}
	living := cachedNamespaces(fakeReader(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1"}}, ending))
	for name, want := range map[string]string{"a": "1", "ending": "", "gone": ""} {
		if uid, err := living(t.Context(), name); err != nil || uid != want {
			t.Errorf("%s: %q, %v; want %q", name, uid, err, want)
		}
	}
}
