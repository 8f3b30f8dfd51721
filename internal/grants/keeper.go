package grants

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// Options are what a Keeper needs. All but Backend and Recorder are required.
type Options struct {
	Applications Applications
	Hosts        Hosts
	Images       Images
	Reader       Reader
	Reviewer     Reviewer
	Lister       Lister
	// Backend is the name that manifests call it by. Default: kube.
	Backend string
	// Recorder of what came of requests. Default: nobody is told.
	Recorder Recorder
}

// Keeper answers questions for Secrets of one cluster.
type Keeper struct{ options Options }

var _ secrets.Keeper = (*Keeper)(nil)

// New makes a keeper.
func New(options Options) (*Keeper, error) {
	o := options
	if o.Applications == nil || o.Hosts == nil || o.Images == nil || o.Reader == nil || o.Reviewer == nil || o.Lister == nil {
		return nil, errors.New("the keeper of secrets needs applications, hosts, images, a reader, a reviewer and a lister")
	}
	if o.Backend == "" {
		o.Backend = policy.Backend
	}
	return &Keeper{options: o}, nil
}

// Secret implements secrets.Keeper. The Secret is read after the decision, so that nobody who is denied learns of it by
// answer or by delay.
func (k *Keeper) Secret(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
	f, err := k.gather(ctx, q)
	var given secrets.Secret
	if err == nil {
		given, err = k.answer(ctx, &f)
	}
	k.record(f, given, err)
	return given, err
}

func (k *Keeper) answer(ctx context.Context, f *facts) (secrets.Secret, error) {
	q := f.question
	source, err := decide(f)
	if err != nil {
		return secrets.Secret{}, err
	}
	found, err := k.options.Reader.Secret(ctx, source.Namespace, q.Key)
	switch {
	case apierrors.IsNotFound(err):
		return secrets.Secret{}, notFound("there is no Secret %s in namespace %s; create it", q.Key, source.Namespace)
	case apierrors.IsForbidden(err):
		return secrets.Secret{}, unauthorized("Trellis itself may not read Secret %s in namespace %s; give it that right: %v", q.Key, source.Namespace, err)
	case err != nil:
		return secrets.Secret{}, upstream("the Secret could not be read", err)
	}
	return value(found, q, source)
}

// gather asks for as much as the decision needs. What a caller can't have is not looked for any further.
func (k *Keeper) gather(ctx context.Context, q secrets.Question) (facts, error) {
	f := facts{question: q, backend: k.options.Backend, claims: map[string]*secrets.Entity{}}
	var err error
	if f.application, err = k.options.Applications.Deployed(ctx, q.Asker.Lattice, q.Application); err != nil {
		return f, upstream("what is deployed could not be learned", err)
	}
	if f.application == nil {
		return f, nil
	}
	f.receivers = receivers(f.application, q, f.backend)
	if len(f.receivers) == 0 {
		return f, nil
	}
	host, err := k.options.Hosts.Host(ctx, q.Asker, q.HostID)
	if err != nil {
		return f, upstream("the hosts of the lattice could not be learned", err)
	}
	f.host = host
	if f.host == nil {
		return f, nil
	}
	for _, r := range f.receivers {
		if f.claims[r.Image], err = k.options.Images.Claims(ctx, q.Asker, r.Image); err != nil {
			return f, upstream(fmt.Sprintf("the claims embedded in the image of component %s could not be read", r.Name), err)
		}
	}
	err = k.rights(ctx, &f)
	return f, err
}

// rights asks for what may let the caller have the Secret beside admission.
func (k *Keeper) rights(ctx context.Context, f *facts) (err error) {
	source, problems := policy.ReadSecret(f.application.Namespace, f.question.Policy.Properties)
	if len(problems) > 0 || f.admitted(source) {
		return nil
	}
	if source.ServiceAccount != "" {
		account := types.NamespacedName{Namespace: f.application.Namespace, Name: source.ServiceAccount}
		secret := types.NamespacedName{Namespace: source.Namespace, Name: f.question.Key}
		if f.account, err = k.options.Reviewer.MayGet(ctx, account, secret); err != nil {
			return upstream("the rights of the ServiceAccount could not be learned", err)
		}
	}
	if f.grants, err = k.options.Lister.Grants(ctx, source.Namespace); err != nil {
		return upstream("the grants could not be learned", err)
	}
	return nil
}
