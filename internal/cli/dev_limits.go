package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// conditionNotInDev says that an application wants something that only a cluster has.
const conditionNotInDev = "NotInDev"

// devLimits sets that condition: dev has no Secrets and exposes nothing, and an application that waits for either should
// say so.
type devLimits struct {
	cache  *applications.Cache
	client *applications.Client
}

// run looks at every application that is there or changes, until ctx ends.
func (d *devLimits) run(ctx context.Context) error {
	waiting := newNotes[types.NamespacedName]()
	d.cache.Subscribe(ctx, func(app *oam.Application) { waiting.add(keyOf(app)) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = waiting.run(ctx) // nil, when ctx ends
	}()
	for {
		select {
		case <-ctx.Done():
			<-ended
			return nil
		case key := <-waiting.out:
			if err := d.look(ctx, key); err != nil && ctx.Err() == nil {
				logr.FromContextOrDiscard(ctx).Info("What dev lacks could not be noted", "application", key.String(), "reason", err.Error())
			}
		}
	}
}

// look writes the condition if it is not there as it should be.
func (d *devLimits) look(ctx context.Context, key types.NamespacedName) error {
	known := d.cache.Get(key.Namespace, key.Name)
	if known == nil || !setNotInDev(known.DeepCopy()) {
		return nil
	}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		app, err := d.client.In(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		if err != nil || !setNotInDev(app) {
			return err
		}
		_, err = d.client.In(key.Namespace).UpdateStatus(ctx, app, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// setNotInDev says whether it changed anything.
func setNotInDev(app *oam.Application) bool {
	before := app.Status.DeepCopy()
	if wants := wantsOfCluster(app); len(wants) == 0 {
		meta.RemoveStatusCondition(&app.Status.Conditions, conditionNotInDev)
	} else {
		meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
			Type: conditionNotInDev, Status: metav1.ConditionTrue, Reason: "NeedsCluster", ObservedGeneration: app.Generation,
			Message: fmt.Sprintf("`trellis dev` has no %s: run this application in a cluster, or without them here.", strings.Join(wants, " and no ")),
		})
	}
	return !equality.Semantic.DeepEqual(*before, app.Status)
}

// wantsOfCluster names what the application asks for and dev does not have.
func wantsOfCluster(app *oam.Application) (wants []string) {
	for _, c := range manifest.Parse(app.Name, &app.Spec).Configs {
		if c.Secret {
			wants = append(wants, "Secrets")
			break
		}
	}
	for name, value := range app.Annotations {
		if (name == exposure.ExposeAnnotation || strings.HasPrefix(name, exposure.ExposeAnnotation+"-")) && value != "false" {
			return append(wants, "Services, routes or Ingresses")
		}
	}
	return wants
}
