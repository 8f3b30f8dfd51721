package grants_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trellis-operator/trellis/internal/grants"
)

// reviewAPI answers as it is told, and keeps what it was asked.
type reviewAPI struct {
	status authorizationv1.SubjectAccessReviewStatus
	fails  error
	asked  []authorizationv1.SubjectAccessReviewSpec
}

func (a *reviewAPI) Create(_ context.Context, r *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error) {
	a.asked = append(a.asked, r.Spec)
	return &authorizationv1.SubjectAccessReview{Status: a.status}, a.fails
}

func TestReviews(t *testing.T) {
	api := &reviewAPI{status: authorizationv1.SubjectAccessReviewStatus{Allowed: true}}
	clock := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	reviews := grants.NewReviews(api, clock)
	reader, pg := types.NamespacedName{Namespace: "team-a", Name: "reader"}, types.NamespacedName{Namespace: "vault", Name: "pg"}
	ask := func(what string, want bool, asked int) {
		t.Helper()
		got, err := reviews.MayGet(t.Context(), reader, pg)
		if err != nil || got != want || len(api.asked) != asked {
			t.Errorf("%s: %v, %v after %d questions; want %v after %d", what, got, err, len(api.asked), want, asked)
		}
	}
	ask("first", true, 1)
	want := authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:team-a:reader",
		Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:team-a", "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Version: "v1", Resource: "secrets", Namespace: "vault", Name: "pg"},
	}
	if diff := cmp.Diff(want, api.asked[0]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	api.status.Allowed = false // withdrawn
	clock.SetTime(clock.Now().Add(9 * time.Second))
	ask("within 10 s", true, 1)
	clock.SetTime(clock.Now().Add(time.Second))
	ask("after 10 s", false, 2)
	api.status.Allowed = true
	ask("a no is kept as well", false, 2)
	pg.Name = "other"
	ask("another Secret", true, 3)
	reader.Name = "other"
	ask("another account", true, 4)
}

func TestReviews_Errors(t *testing.T) {
	api := &reviewAPI{fails: errors.New("down")}
	reviews := grants.NewReviews(api, clocktesting.NewFakePassiveClock(time.Unix(1000, 0)))
	name := types.NamespacedName{Namespace: "a", Name: "b"}
	for range 2 { // a failure is not kept
		if ok, err := reviews.MayGet(t.Context(), name, name); ok || !errors.Is(err, api.fails) {
			t.Errorf("down: %v, %v", ok, err)
		}
	}
	api.fails, api.status = nil, authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}
	if ok, err := reviews.MayGet(t.Context(), name, name); ok || err != nil || len(api.asked) != 3 {
		t.Errorf("allowed and denied: %v, %v after %d questions", ok, err, len(api.asked))
	}
}
