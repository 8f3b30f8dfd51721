// Package apply makes Kubernetes objects as a controller wants them, by server-side apply, and writes nothing when they
// are so already.
package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Annotation on an object holds the digest of what was applied last, which finds what is no longer wanted.
const Annotation = "k8s.wasmcloud.dev/applied"

// Applier applies objects under one field manager.
type Applier struct {
	// Client reads from the manager's cache and writes.
	Client client.Client
	// Live reads from the API server: Secrets, which are never cached, and objects that the cache filters out.
	Live client.Reader
	// Manager is the name of the field manager.
	Manager string
}

// Apply makes the object as desired. The kind of desired must be set. If an object of that name is there, owned says
// whether it may be changed; if not, the error is a *NotOwnedError. A *RefusedError says that Kubernetes does not take
// the object as it is.
func (a Applier) Apply(ctx context.Context, desired client.Object, owned func(live client.Object) bool) error {
	live, err := a.Find(ctx, desired)
	if err != nil {
		return err
	}
	_, err = a.Over(ctx, desired, live, owned)
	return err
}

// Over is Apply for whoever just found what is there, nil for nothing. It returns what is there then.
func (a Applier) Over(ctx context.Context, desired, live client.Object, owned func(live client.Object) bool) (client.Object, error) {
	kind := desired.GetObjectKind().GroupVersionKind().Kind
	raw, err := json.Marshal(desired)
	if err != nil {
		return nil, fmt.Errorf("encoding %s %s: %w", kind, desired.GetName(), err)
	}
	annotations := map[string]string{Annotation: Digest(string(raw))}
	maps.Copy(annotations, desired.GetAnnotations())
	desired.SetAnnotations(annotations)
	if live != nil {
		if !owned(live) {
			return nil, &NotOwnedError{Kind: kind, Name: desired.GetName()}
		}
		same, err := covers(live, desired)
		if err != nil || same {
			return live, err
		}
	}
	return a.write(ctx, desired, kind)
}

// Find returns the object of that kind and name as it is, or nil. What the cache does not show may exist without the
// labels that it selects by.
func (a Applier) Find(ctx context.Context, like client.Object) (client.Object, error) {
	readers := []client.Reader{a.Client, a.Live}
	if _, isSecret := like.(*corev1.Secret); isSecret {
		readers = readers[1:] // caching them would need the right to list every Secret
	}
	for _, reader := range readers {
		found, err := a.blank(like)
		if err != nil {
			return nil, err
		}
		err = reader.Get(ctx, client.ObjectKeyFromObject(like), found)
		if err == nil {
			return found, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading %s: %w", client.ObjectKeyFromObject(like), err)
		}
	}
	return nil, nil
}

// blank returns an empty object of the kind.
func (a Applier) blank(like client.Object) (client.Object, error) {
	kind := like.GetObjectKind().GroupVersionKind()
	if _, free := like.(*unstructured.Unstructured); free {
		found := &unstructured.Unstructured{}
		found.SetGroupVersionKind(kind)
		return found, nil
	}
	fresh, err := a.Client.Scheme().New(kind)
	if err != nil {
		return nil, fmt.Errorf("the scheme lacks a kind: %w", err)
	}
	return fresh.(client.Object), nil
}

// write applies and returns what the API server made of it.
func (a Applier) write(ctx context.Context, desired client.Object, kind string) (client.Object, error) {
	content, err := contentOf(desired)
	if err != nil {
		return nil, fmt.Errorf("encoding %s %s: %w", kind, desired.GetName(), err)
	}
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	object := &unstructured.Unstructured{Object: content} // the answer replaces the content
	err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner(a.Manager))
	switch {
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err), unknownField(err):
		return nil, &RefusedError{Kind: kind, Name: desired.GetName(), Err: err}
	case err != nil:
		return nil, fmt.Errorf("applying %s %s: %w", kind, desired.GetName(), err)
	}
	after, err := a.blank(desired)
	if free, ok := after.(*unstructured.Unstructured); ok {
		free.Object = object.Object
	} else if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, after)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was made of %s %s: %w", kind, desired.GetName(), err)
	}
	return after, nil
}

// unknownField recognises how the API server says that a kind has no such field: as an error of its own, without a code.
func unknownField(err error) bool {
	return err != nil && strings.Contains(err.Error(), "failed to create typed patch object")
}

// Digest returns a short digest of the parts.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}
