package grants

import (
	"context"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

const (
	// reviewAge is how old an answer may be: a right that is withdrawn must stop the next fetch.
	reviewAge = 10 * time.Second
	// maxReviews bounds the memory.
	maxReviews = 4096
)

// AccessReviews asks the cluster about rights; client-go's SubjectAccessReviewInterface is one.
type AccessReviews interface {
	Create(ctx context.Context, review *authorizationv1.SubjectAccessReview, options metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error)
}

// Reviews ask kube-apiserver about the rights of ServiceAccounts and keep its answers for 10 seconds.
type Reviews struct {
	api   AccessReviews
	clock clock.PassiveClock

	mu      sync.Mutex
	answers map[reviewed]answer
}

type reviewed struct{ account, secret types.NamespacedName }

type answer struct {
	allowed bool
	at      time.Time
}

var _ Reviewer = (*Reviews)(nil)

// NewReviews makes a reviewer.
func NewReviews(api AccessReviews, clock clock.PassiveClock) *Reviews {
	return &Reviews{api: api, clock: clock, answers: map[reviewed]answer{}}
}

// MayGet implements Reviewer. The age of an answer counts from before the question.
func (r *Reviews) MayGet(ctx context.Context, account, secret types.NamespacedName) (bool, error) {
	what, now := reviewed{account, secret}, r.clock.Now()
	if known, ok := r.known(what, now); ok {
		return known, nil
	}
	got, err := r.api.Create(ctx, reviewOf(account, secret), metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	allowed := got.Status.Allowed && !got.Status.Denied
	r.keep(what, answer{allowed, now})
	return allowed, nil
}

func (r *Reviews) known(what reviewed, now time.Time) (allowed, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[what]
	return a.allowed, ok && now.Sub(a.at) < reviewAge
}

func (r *Reviews) keep(what reviewed, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.answers) >= maxReviews {
		clear(r.answers)
	}
	r.answers[what] = a
}

// reviewOf has the user and groups that kube-apiserver gives a ServiceAccount.
func reviewOf(account, secret types.NamespacedName) *authorizationv1.SubjectAccessReview {
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + account.Namespace + ":" + account.Name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Version: "v1", Resource: "secrets", Namespace: secret.Namespace, Name: secret.Name,
		},
	}}
}
