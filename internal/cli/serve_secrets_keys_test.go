package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
)

// Seeds of nobody.
const (
	firstSeed  = "SXACCIRDEQSSMJZIFEVCWLBNFYXTAMJSGM2DKNRXHA4TUOZ4HU7D6QD2VY"
	firstKey   = "XBMGTL7UKBKJOMWLVLWV4XPZWMFG3IY4WDSXIK5NLLKKDJ3I6GTHXST6"
	secondSeed = "SXAKIYZX2POLIHZ5W5YZEWVTH24NLEUETBW3TKIVYRSS3GNHFXO5D4JJZM"
)

func keySecret(data map[string]string) *corev1.Secret {
	kept := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: "trellis-secrets-key"}, Data: map[string][]byte{}}
	for name, value := range data {
		kept.Data[name] = []byte(value)
	}
	return kept
}

func TestSecretKeys_Errors(t *testing.T) {
	for name, tc := range map[string]struct {
		data  map[string]string
		fails error
		says  string
	}{
		"no current key":   {map[string]string{"previous-1": firstSeed}, nil, `no key "current"`},
		"damaged":          {map[string]string{"current": firstSeed[:50]}, nil, "no seed of a curve key"},
		"damaged previous": {map[string]string{"current": firstSeed, "previous-1": secondSeed + "x"}, nil, "key 2"},
		"no right":         {nil, apierrors.NewForbidden(corev1.Resource("secrets"), "trellis-secrets-key", errors.New("no")), "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			kube := fake.NewClientset(keySecret(tc.data))
			if tc.fails != nil {
				kube.PrependReactor("get", "secrets", func(kubetesting.Action) (bool, runtime.Object, error) { return true, nil, tc.fails })
			}
			_, err := (&secretKeys{client: kube, namespace: "ops", name: "trellis-secrets-key"}).read(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "ops/trellis-secrets-key") {
				t.Fatalf("error = %v, want one that says %q", err, tc.says)
			}
			if strings.Contains(err.Error(), firstSeed[:20]) || strings.Contains(err.Error(), secondSeed[:20]) {
				t.Error("the error holds a seed")
			}
		})
	}
}

// TestSecretKeys_Race: whoever loses the race for the first key takes the winner's.
func TestSecretKeys_Race(t *testing.T) {
	kube := fake.NewClientset()
	kube.PrependReactor("create", "secrets", func(kubetesting.Action) (bool, runtime.Object, error) {
		if err := kube.Tracker().Add(keySecret(map[string]string{"current": firstSeed})); err != nil {
			return true, nil, err
		}
		return true, nil, apierrors.NewAlreadyExists(corev1.Resource("secrets"), "trellis-secrets-key")
	})
	ring, err := (&secretKeys{client: kube, namespace: "ops", name: "trellis-secrets-key"}).read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := announced(t, ring); got != firstKey {
		t.Errorf("hosts are told %s, want the winner's %s", got, firstKey)
	}
}

// TestSecretKeys: the first replica makes a key, the second announces the same.
func TestSecretKeys(t *testing.T) {
	keys := &secretKeys{client: fake.NewClientset(), namespace: "ops", name: "trellis-secrets-key"}
	first, err := keys.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := keys.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := announced(t, first), announced(t, second); a != b {
		t.Errorf("replicas announce %s and %s", a, b)
	}
}

// TestSecretKeys_Rotated: the current key is announced, whatever the names of the others.
func TestSecretKeys_Rotated(t *testing.T) {
	kept := keySecret(map[string]string{"previous-0": secondSeed, "current": firstSeed, "note": "no key"})
	kept.CreationTimestamp = metav1.NewTime(time.Unix(1000, 0))
	ring, err := ringOf(kept)
	if err != nil {
		t.Fatal(err)
	}
	if got := announced(t, ring); got != firstKey {
		t.Errorf("hosts are told %s, want %s", got, firstKey)
	}
}
