package cli

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// livingNamespace returns the uid of a namespace, empty when it is gone or on its way out.
type livingNamespace func(ctx context.Context, name string) (uid string, err error)

// namespacesOf asks the cluster.
func namespacesOf(client typedcorev1.NamespaceInterface) livingNamespace {
	return func(ctx context.Context, name string) (string, error) {
		found, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return "", nil
		case err != nil:
			return "", fmt.Errorf("look at namespace %q: %w", name, err)
		case found.DeletionTimestamp != nil:
			return "", nil
		}
		return string(found.UID), nil
	}
}

// anyNamespace is for a server without namespaces: every name is one.
func anyNamespace(_ context.Context, name string) (string, error) { return "name:" + name, nil }

// homesForWash finds the namespace in which wash makes new applications: the recorded one, as long as it lives, else the
// first living one of the bindings, which is recorded then. So new bindings don't move the home, and wash is not stuck
// with a namespace that is deleted.
type homesForWash struct {
	set      *binding.Set
	lattices *lattices
	living   livingNamespace
}

const homeTries = 5

func (h homesForWash) HomeNamespace(ctx context.Context, name string) (string, error) {
	link, err := h.lattices.link(ctx, name)
	if err != nil {
		return "", err
	}
	for range homeTries {
		home, err := link.ledger.Home(ctx, h.lattices.cluster)
		if err != nil {
			return "", fmt.Errorf("read the home namespace of lattice %q: %w", name, err)
		}
		if lives, err := h.lives(ctx, home); lives || err != nil {
			return home.Namespace, err
		}
		if home.Namespace, home.UID, err = h.elect(ctx, name); err != nil {
			return "", err
		}
		err = link.ledger.SetHome(ctx, h.lattices.cluster, home)
		if err == nil {
			return home.Namespace, nil
		}
		if !errors.Is(err, ledger.ErrHomeChanged) { // another replica was faster: see what it chose
			return "", fmt.Errorf("record the home namespace of lattice %q: %w", name, err)
		}
	}
	return "", fmt.Errorf("record the home namespace of lattice %q: %w", name, ledger.ErrHomeChanged)
}

// lives says whether a recorded home is still the namespace that was recorded.
func (h homesForWash) lives(ctx context.Context, home ledger.Home) (bool, error) {
	if home.Namespace == "" {
		return false, nil
	}
	uid, err := h.living(ctx, home.Namespace)
	return uid != "" && (home.UID == "" || home.UID == uid), err
}

// elect returns the first namespace of the bindings that lives.
func (h homesForWash) elect(ctx context.Context, name string) (namespace, uid string, err error) {
	for _, namespace := range h.set.Homes(name) {
		uid, err := h.living(ctx, namespace)
		if uid != "" || err != nil {
			return namespace, uid, err
		}
	}
	return "", "", wadmapi.ErrNoHome
}
