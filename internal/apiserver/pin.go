package apiserver

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/warning"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// washAnnotations say what wash decided. Only the wadm API writes them.
var washAnnotations = []string{
	v1beta1.WashDeployedVersionAnnotation, v1beta1.WashDeletedVersionsAnnotation, v1beta1.WashUndeployedAnnotation,
}

// settleWash makes what wash decided wash's alone. A change of the spec from Kubernetes drops it: Kubernetes has the last
// word, and what wash deployed before does not hold back the new spec. Any other write from Kubernetes leaves it as it
// was, also one that replaces all metadata by what Git has: nobody asked for a deployment by it. old is nil when the
// application is new. The import of wadm's manifests is the server's own request and says what wadm had deployed.
func settleWash(ctx context.Context, old, app *v1beta1.Application) {
	if isWash(ctx) || isItself(ctx) {
		return
	}
	same := old != nil && sameSpec(&old.Spec, &app.Spec)
	for _, key := range washAnnotations {
		value, had := "", false
		if old != nil {
			value, had = old.Annotations[key]
		}
		asked, asks := app.Annotations[key]
		if same && had {
			annotate(app, key, value)
		} else {
			delete(app.Annotations, key)
		}
		if asks != had && (same || asks) || asks && asked != value {
			warning.AddWarning(ctx, "", fmt.Sprintf("metadata.annotations[%s]: only wash's requests change it; to decide from Kubernetes what runs, set %s",
				key, v1beta1.DeployedVersionAnnotation))
		}
	}
}

// warnOfPin tells whoever pins a version that there is none of this name. It is no error: a pin and the version that it
// names may be written in any order. What runs goes on.
func (l *lifecycle) warnOfPin(ctx context.Context, old, app *v1beta1.Application) error {
	wanted := manifest.Deployed(app.Annotations)
	if !wanted.Pinned || wanted.Version == "" || wanted.Version == app.Status.Version {
		return nil
	}
	if old != nil && manifest.Deployed(old.Annotations) == wanted {
		return nil
	}
	_, err := l.revisions.get(ctx, app, wanted.Version)
	if !errors.Is(err, errNoRevision) {
		return err
	}
	warning.AddWarning(ctx, "", fmt.Sprintf("metadata.annotations[%s]: application %q has no version %q, so what runs does not change; "+
		"see kubectl get applicationrevisions -n %s --field-selector application=%s",
		v1beta1.DeployedVersionAnnotation, app.Name, wanted.Version, app.Namespace, app.Name))
	return nil
}
