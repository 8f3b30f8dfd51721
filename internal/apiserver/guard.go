package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// steps are what must be durable before an application is written, or follows when it was.
type steps interface {
	// beforeWrite completes app, whose stored state is old (nil when it is new).
	beforeWrite(ctx context.Context, once *attempt, old, app *v1beta1.Application) error
	// beforeDelete is called with the state that is about to be deleted.
	beforeDelete(ctx context.Context, app *v1beta1.Application) error
	// afterWrite and afterDelete tidy up; what they leave behind harms nobody and is found by the next call.
	afterWrite(ctx context.Context, once *attempt, old, app *v1beta1.Application)
	afterDelete(ctx context.Context, app *v1beta1.Application)
}

// guard is the storage of applications with the steps around each write. It sits below the registry's dry run and above
// the compare-and-set: an object gets here after validation and admission, never in a dry run, and again with the newer
// state when somebody else was faster. The registry's BeginCreate and BeginUpdate come before validation and admission,
// where an object that is refused later would leave claims and revisions behind.
type guard struct {
	storage.Interface
	steps steps
}

var _ storage.Interface = (*guard)(nil)

// Create implements storage.Interface.
func (g *guard) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	app, once := obj.(*v1beta1.Application), &attempt{}
	once.stored = g.uidOf(key)
	if err := g.steps.beforeWrite(ctx, once, nil, app); err != nil {
		return err
	}
	if err := g.Interface.Create(ctx, key, obj, out, ttl); err != nil {
		return err
	}
	g.steps.afterWrite(ctx, once, nil, app)
	return nil
}

// uidOf returns a look for the UID of what is stored under a key.
func (g *guard) uidOf(key string) func(context.Context) (types.UID, error) {
	return func(ctx context.Context) (types.UID, error) {
		found := &v1beta1.Application{}
		err := g.Interface.Get(ctx, key, storage.GetOptions{IgnoreNotFound: true}, found)
		return found.UID, err
	}
}

// GuaranteedUpdate implements storage.Interface.
func (g *guard) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, cached runtime.Object,
) error {
	var old, app *v1beta1.Application
	once := &attempt{}
	guarded := func(input runtime.Object, meta storage.ResponseMeta) (runtime.Object, *uint64, error) {
		// The update may change its input, and the steps compare.
		old = input.(*v1beta1.Application).DeepCopy()
		updated, ttl, err := tryUpdate(input, meta)
		if err != nil {
			return nil, nil, err
		}
		if once.stored = nil; old.UID == "" {
			old, once.stored = nil, g.uidOf(key) // an apply that creates
		}
		app = updated.(*v1beta1.Application)
		return updated, ttl, g.steps.beforeWrite(ctx, once, old, app)
	}
	if err := g.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, guarded, cached); err != nil {
		return err
	}
	if app != nil {
		g.steps.afterWrite(ctx, once, old, app)
	}
	return nil
}

// Delete implements storage.Interface.
func (g *guard) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions,
) error {
	guarded := func(ctx context.Context, obj runtime.Object) error {
		if err := validate(ctx, obj); err != nil {
			return err
		}
		return g.steps.beforeDelete(ctx, obj.(*v1beta1.Application))
	}
	if err := g.Interface.Delete(ctx, key, out, preconditions, guarded, cached, opts); err != nil {
		return err
	}
	g.steps.afterDelete(ctx, out.(*v1beta1.Application))
	return nil
}

// interpreted is a storage whose errors are what clients should see.
type interpreted struct {
	storage.Interface
}

var _ storage.Interface = interpreted{}

// Create implements storage.Interface.
func (s interpreted) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return interpret(s.Interface.Create(ctx, key, obj, out, ttl))
}

// Delete implements storage.Interface.
func (s interpreted) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions,
) error {
	return interpret(s.Interface.Delete(ctx, key, out, preconditions, validate, cached, opts))
}

// Watch implements storage.Interface.
func (s interpreted) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	w, err := s.Interface.Watch(ctx, key, opts)
	return w, interpret(err)
}

// Get implements storage.Interface.
func (s interpreted) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return interpret(s.Interface.Get(ctx, key, opts, out))
}

// GetList implements storage.Interface.
func (s interpreted) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	return interpret(s.Interface.GetList(ctx, key, opts, list))
}

// GuaranteedUpdate implements storage.Interface.
func (s interpreted) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, cached runtime.Object,
) error {
	return interpret(s.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, tryUpdate, cached))
}
