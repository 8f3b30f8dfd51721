package applications

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// guarded serves one application in every namespace but those whose names begin with "closed", which are forbidden, and
// "broken", which fails.
func guarded(w http.ResponseWriter, r *http.Request) {
	namespace := strings.Split(strings.TrimPrefix(r.URL.Path, "/apis/core.oam.dev/v1beta1/namespaces/"), "/")[0]
	w.Header().Set("Content-Type", "application/json")
	var answer any = &oam.ApplicationList{
		TypeMeta: metav1.TypeMeta{APIVersion: "core.oam.dev/v1beta1", Kind: "ApplicationList"},
		Items: []oam.Application{{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "of-" + namespace}, Status: oam.ApplicationStatus{Lattice: "default"},
		}},
	}
	switch {
	case strings.HasPrefix(namespace, "closed"):
		w.WriteHeader(http.StatusForbidden)
		answer = apierrors.NewForbidden(oam.Resource("applications"), "", nil).Status()
	case namespace == "broken":
		w.WriteHeader(http.StatusInternalServerError)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// One namespace that RBAC keeps wash out of does not take the others from it.
func TestWash_ForbiddenNamespaces(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(guarded))
	t.Cleanup(server.Close)
	for name, tc := range map[string]struct {
		namespaces []string
		found      int
		fails      func(error) bool
	}{
		"all open":      {[]string{"a", "b"}, 2, nil},
		"one closed":    {[]string{"a", "closed-1", "b"}, 2, nil},
		"all closed":    {[]string{"closed-1", "closed-2"}, 0, apierrors.IsForbidden},
		"the only one":  {[]string{"closed-1"}, 0, apierrors.IsForbidden},
		"broken":        {[]string{"a", "broken"}, 0, apierrors.IsInternalError},
		"none is bound": {nil, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			wash := NewWash(func(string) (*Client, error) { return NewClient(&rest.Config{Host: server.URL, QPS: -1}) },
				func(string) []string { return tc.namespaces })
			found, err := wash.ListApplications(t.Context(), "default")
			if len(found) != tc.found || (err == nil) != (tc.fails == nil) || err != nil && !tc.fails(err) {
				t.Errorf("found %d, error %v", len(found), err)
			}
		})
	}
}
