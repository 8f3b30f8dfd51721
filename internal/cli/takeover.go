package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/takeover"
)

var _ takeover.Applications = (*applications.Itself)(nil)

// keptVersions is how many versions of an application are taken over; as many as the API keeps.
const keptVersions = 10

// takeOver brings the applications of a wadm that has ended into the API, once for the lattice. It acts as the API server
// itself, which nothing else does.
func (l *latticeRuntime) takeOver(ctx context.Context, link *latticeLink) error {
	client, err := applications.NewClient(l.loopback)
	if err != nil {
		return err
	}
	itself := applications.NewItself(client)
	homes := homesForWash{l.bindings, l.lattices, l.living}
	report, isNew, err := takeover.Run(ctx, takeover.Config{
		Conn: link.conn, Domain: link.domain, Lattice: l.name, Account: l.account, Cluster: l.lattices.cluster,
		Applications: itself, Keep: keptVersions,
		Home: func(ctx context.Context) (string, error) { return homes.HomeNamespace(ctx, l.name) },
		Told: func(ctx context.Context, app *oam.Application, notes []string) error {
			return l.tellImported(ctx, itself, app, notes)
		},
	})
	if err == nil && isNew {
		logr.FromContextOrDiscard(ctx).Info("The lattice was taken over from wadm", "lattice", l.name, "report", report.String())
	}
	return err
}

// tellImported sets the condition of an application that was taken over, and makes an Event the first time.
func (l *latticeRuntime) tellImported(ctx context.Context, itself *applications.Itself, app *oam.Application, notes []string) error {
	condition := metav1.Condition{Type: oam.ConditionImported, Status: metav1.ConditionTrue, Reason: "FromWadm",
		Message: "The application was taken over from wadm."}
	eventType := corev1.EventTypeNormal
	if len(notes) > 0 {
		condition.Reason, eventType = "WithNotes", corev1.EventTypeWarning
		condition.Message += " " + strings.Join(notes, " ")
	}
	condition.Message = cutMessage(condition.Message)
	isNew := false
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := itself.Get(ctx, app.Namespace, app.Name)
		if err != nil {
			return err
		}
		condition.ObservedGeneration = current.Generation
		if had := meta.FindStatusCondition(current.Status.Conditions, condition.Type); had != nil {
			return nil // it was told before
		}
		meta.SetStatusCondition(&current.Status.Conditions, condition)
		_, err = itself.UpdateStatus(ctx, current)
		isNew = err == nil
		return err
	})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsInvalid(err):
		// Deleted meanwhile, or too large for one more condition. The application is there all the same, and its lattice
		// must not wait for a remark.
		logr.FromContextOrDiscard(ctx).Info("What came of the take-over could not be noted on an application",
			"namespace", app.Namespace, "name", app.Name, "message", condition.Message, "reason", err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("set condition %s: %w", condition.Type, err)
	}
	if isNew {
		l.recorder.Event(app, eventType, "Imported", condition.Message)
	}
	return nil
}

// longestMessage of a condition; the API of Kubernetes allows 32 KiB.
const longestMessage = 1024

func cutMessage(text string) string {
	if len(text) <= longestMessage {
		return text
	}
	return strings.ToValidUTF8(text[:longestMessage], "") + "…"
}
