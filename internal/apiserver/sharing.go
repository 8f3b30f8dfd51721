package apiserver

import (
	"context"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/utils/lru"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// sharing is a storage from which the watch cache reads. It lets applications share in memory what is the same in them: the
// cache keeps each version for more than a minute, and most differ from the one before in a condition only.
type sharing struct {
	storage.Interface
	known *lru.Cache // strings, and managed fields as they are written
}

// knownTexts is how many texts are remembered, up to longestText bytes each. Those that all applications have are seen
// again and again, and stay.
const (
	knownTexts  = 4096
	longestText = 4096
)

func newSharing(raw storage.Interface) sharing { return sharing{raw, lru.New(knownTexts)} }

// GetList implements storage.Interface.
func (s sharing) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	err := s.Interface.GetList(ctx, key, opts, list)
	if apps, ok := list.(*v1beta1.ApplicationList); ok && err == nil {
		for i := range apps.Items {
			s.compact(reflect.ValueOf(&apps.Items[i]).Elem())
		}
	}
	return err
}

// Watch implements storage.Interface.
func (s sharing) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	events, err := s.Interface.Watch(ctx, key, opts)
	if err != nil || !opts.Recursive {
		return events, err
	}
	newest := map[types.NamespacedName]*v1beta1.Application{}
	return sift(events, func(event watch.Event) watch.Event {
		app := applicationIn(event)
		if app == nil {
			return event
		}
		s.compact(reflect.ValueOf(app).Elem())
		name := types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
		if before := newest[name]; before != nil {
			share(reflect.ValueOf(before).Elem(), reflect.ValueOf(app).Elem())
		}
		newest[name] = app
		if event.Type == watch.Deleted {
			delete(newest, name)
		}
		return event
	}), nil
}

// compact gives texts that are known in place of those that were decoded, and cuts off the room that decoding leaves at the
// end of lists. Nobody else has the value yet.
func (s sharing) compact(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				s.compact(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			s.compact(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(remembered(s.known, string(v.Bytes()), v.Bytes()))
			return
		}
		if v.Cap() > v.Len() {
			exact := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(exact, v)
			v.Set(exact)
		}
		for i := range v.Len() {
			s.compact(v.Index(i))
		}
	case reflect.String:
		v.SetString(remembered(s.known, v.String(), v.String()))
	}
}

// remembered is what was remembered under a text, or value, which from now on is.
func remembered[T any](known *lru.Cache, text string, value T) T {
	if text == "" || len(text) > longestText {
		return value
	}
	type key struct {
		text string
		kind reflect.Type
	}
	k := key{text, reflect.TypeFor[T]()}
	if found, ok := known.Get(k); ok {
		return found.(T)
	}
	known.Add(k, value)
	return value
}

func applicationIn(event watch.Event) *v1beta1.Application {
	object := event.Object
	if timed, ok := object.(interface{ Unwrap() runtime.Object }); ok {
		object = timed.Unwrap()
	}
	app, ok := object.(*v1beta1.Application)
	if !ok || event.Type == watch.Bookmark {
		return nil
	}
	return app
}

// share gives now the parts of before that are equal to its own, and says whether all of them are. Both are never changed
// afterwards.
func share(before, now reflect.Value) (same bool) {
	same = true
	switch now.Kind() {
	case reflect.Struct:
		for i := range now.NumField() {
			if !now.Field(i).CanSet() {
				return reflect.DeepEqual(before.Interface(), now.Interface()) // a time
			}
		}
		for i := range now.NumField() {
			same = share(before.Field(i), now.Field(i)) && same
		}
		return same // its fields are shared already
	case reflect.Slice:
		if before.IsNil() != now.IsNil() {
			return false
		}
		if now.Type().Elem().Kind() == reflect.Uint8 {
			same = before.Len() == now.Len() && string(before.Bytes()) == string(now.Bytes())
			break
		}
		for i := range min(before.Len(), now.Len()) {
			same = share(before.Index(i), now.Index(i)) && same
		}
		same = same && before.Len() == now.Len()
	case reflect.Pointer:
		if before.IsNil() || now.IsNil() {
			return before.IsNil() == now.IsNil()
		}
		same = share(before.Elem(), now.Elem())
	case reflect.String:
		same = before.String() == now.String()
	case reflect.Map:
		same = reflect.DeepEqual(before.Interface(), now.Interface())
	default:
		return before.Equal(now)
	}
	if same {
		now.Set(before)
	}
	return same
}
