package cli

import (
	"context"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/orchestrator"
)

// wadmRunning keeps condition WadmRunning on the applications of a lattice while a wadm serves it: nobody else would tell
// why nothing happens.
type wadmRunning struct {
	lattice  string
	cache    *applications.Cache
	client   *applications.Client
	recorder orchestrator.Recorder

	mu sync.Mutex
	// asked says that message was set: before, nothing is known.
	asked bool
	// message says what runs and what would help; empty: no wadm runs.
	message string
	waiting *notes[types.NamespacedName]
}

// set says whether a wadm runs, by a message or none.
func (w *wadmRunning) set(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked && w.message == message {
		return
	}
	w.asked, w.message = true, message
	for _, app := range w.cache.InLattice(w.lattice) {
		w.waiting.add(keyOf(app))
	}
}

func (w *wadmRunning) said() (message string, asked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.message, w.asked
}

// run looks at every application that is there or changes, until ctx ends.
func (w *wadmRunning) run(ctx context.Context) error {
	w.cache.Subscribe(ctx, func(app *oam.Application) {
		if app.Status.Lattice == w.lattice {
			w.waiting.add(keyOf(app))
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.waiting.run(ctx) // nil, when ctx ends
	}()
	for {
		select {
		case <-ctx.Done():
			<-ended
			return nil
		case key := <-w.waiting.out:
			if err := w.look(ctx, key); err != nil && ctx.Err() == nil {
				logr.FromContextOrDiscard(ctx).Info("Whether wadm runs could not be noted", "application", key.String(), "reason", err.Error())
			}
		}
	}
}

// look writes the condition if it is not as it should be.
func (w *wadmRunning) look(ctx context.Context, key types.NamespacedName) error {
	message, asked := w.said()
	known := w.cache.Get(key.Namespace, key.Name)
	if !asked || known == nil || !setWadmRunning(known.DeepCopy(), message) {
		return nil
	}
	var told *oam.Application
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		app, err := w.client.In(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		if err != nil || !setWadmRunning(app, message) {
			return err
		}
		_, err = w.client.In(key.Namespace).UpdateStatus(ctx, app, metav1.UpdateOptions{})
		told = app
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil && told != nil && message != "" {
		w.recorder.Event(told, corev1.EventTypeWarning, oam.ConditionWadmRunning, message)
	}
	return err
}

// setWadmRunning says whether it changed anything.
func setWadmRunning(app *oam.Application, message string) bool {
	if message == "" {
		return meta.RemoveStatusCondition(&app.Status.Conditions, oam.ConditionWadmRunning)
	}
	return meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
		Type: oam.ConditionWadmRunning, Status: metav1.ConditionTrue, Reason: "AnswersInTheLattice", Message: message,
		ObservedGeneration: app.Generation,
	})
}
