package apiserver

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// wantedLattice is the lattice that an application names: by label, or by V1's annotation.
func wantedLattice(app *v1beta1.Application) string {
	if name := app.Labels[v1beta1.LatticeLabel]; name != "" {
		return name
	}
	return app.Annotations[v1beta1.LatticeLabel]
}

// validateLattice refuses two answers to one question.
func validateLattice(app *v1beta1.Application) field.ErrorList {
	label, annotation := app.Labels[v1beta1.LatticeLabel], app.Annotations[v1beta1.LatticeLabel]
	if label == "" || annotation == "" || label == annotation {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "annotations").Key(v1beta1.LatticeLabel), annotation,
		"the label of the same name says "+label+"; remove the annotation")}
}

// settleLattice records the lattice of an application in its status. The first resolution stays: bindings that come or
// go later never move an application, only a change of its label does. A label that names a lattice without binding
// moves nothing either, so that a typing error takes nothing down; the condition says what is missing.
func settleLattice(bindings Bindings, old, app *v1beta1.Application) {
	if old != nil {
		app.Status.Lattice = old.Status.Lattice
	}
	named := wantedLattice(app)
	if app.Status.Lattice != "" && (named == "" || named == app.Status.Lattice) {
		setResolved(app, metav1.ConditionTrue, "Bound", "The application belongs to lattice "+app.Status.Lattice+".")
		return
	}
	found := bindings.Resolve(app.Namespace, named)
	if found.Lattice == "" {
		setResolved(app, metav1.ConditionFalse, found.Reason, found.Message)
		return
	}
	app.Status.Lattice = found.Lattice
	setResolved(app, metav1.ConditionTrue, found.Reason, found.Message)
}

// reasonNameConflict says that another application holds a name of the lattice.
const reasonNameConflict = "NameConflict"

// unresolve takes back a lattice that the application can't enter: it stays where it was, if it was anywhere.
func unresolve(old, app *v1beta1.Application, why error) {
	app.Status.Lattice = old.Status.Lattice
	meta.RemoveStatusCondition(&app.Status.Conditions, v1beta1.ConditionLatticeResolved)
	if had := meta.FindStatusCondition(old.Status.Conditions, v1beta1.ConditionLatticeResolved); had != nil {
		// Its time of transition stays if this is no news: a look that finds the same writes nothing.
		keepCondition(&app.Status.Conditions, *had)
	}
	setResolved(app, metav1.ConditionFalse, reasonNameConflict, why.Error())
}

func setResolved(app *v1beta1.Application, status metav1.ConditionStatus, reason, message string) {
	if had := meta.FindStatusCondition(app.Status.Conditions, v1beta1.ConditionLatticeResolved); had != nil &&
		had.Status == metav1.ConditionTrue && status == metav1.ConditionTrue {
		return // it was resolved before; why is no news
	}
	meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
		Type: v1beta1.ConditionLatticeResolved, Status: status, Reason: reason, Message: message,
		ObservedGeneration: app.Generation,
	})
	if app.Status.Lattice != "" {
		awaitLook(app) // whoever looks after the lattice says what is ready there
		return
	}
	meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
		Type: v1beta1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: app.Generation,
	})
}

// awaitLook makes an application that nobody has looked at yet say so: without any word about Ready, tools that go by
// kstatus take an object for healthy.
func awaitLook(app *v1beta1.Application) {
	if meta.FindStatusCondition(app.Status.Conditions, v1beta1.ConditionReady) != nil {
		return
	}
	meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
		Type: v1beta1.ConditionReady, Status: metav1.ConditionUnknown, Reason: "Pending",
		Message: "Lattice " + app.Status.Lattice + " has not looked at the application yet.", ObservedGeneration: app.Generation,
	})
}
