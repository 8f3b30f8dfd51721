package apiserver

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// The take-over from wadm writes an application version by version, in the name of the server itself. Until it is done
// the application is in no lattice: nothing is claimed for versions that do not run, and nobody acts on half of it.

// settleImport makes the annotation of the take-over the server's own.
func settleImport(ctx context.Context, old, app *v1beta1.Application) {
	if isItself(ctx) {
		return
	}
	key := v1beta1.WadmImportAnnotation
	if old != nil && old.Annotations[key] != "" {
		annotate(app, key, old.Annotations[key])
		return
	}
	delete(app.Annotations, key)
}

// importing says whether a write is part of the take-over.
func importing(ctx context.Context, app *v1beta1.Application) bool {
	return isItself(ctx) && app.Annotations[v1beta1.WadmImportAnnotation] != ""
}

// reasonImporting says that the versions of an application are still being written.
const reasonImporting = "Importing"

func awaitImport(app *v1beta1.Application) {
	setResolved(app, metav1.ConditionFalse, reasonImporting, "The versions of the application are being taken over from wadm.")
}
