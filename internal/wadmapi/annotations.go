package wadmapi

import (
	"maps"
	"slices"
	"strings"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// ownPrefix begins annotations and labels that belong to Trellis or to Kubernetes users, never to a manifest.
const ownPrefix = "k8s.wasmcloud.dev/"

// foreignDomains own annotations and labels of other programs of a cluster: a put of wash neither brings nor removes them.
var foreignDomains = []string{"k8s.io", "kubernetes.io", "argoproj.io", "fluxcd.io", "helm.sh", "external-secrets.io"}

// ofManifest says whether an annotation or label is part of the manifest that wash sees.
func ofManifest(key string) bool {
	if strings.HasPrefix(key, ownPrefix) {
		return false
	}
	domain, _, prefixed := strings.Cut(key, "/")
	return !prefixed || !slices.ContainsFunc(foreignDomains, func(d string) bool {
		return domain == d || strings.HasSuffix(domain, "."+d)
	})
}

// manifestPart are the annotations or labels of a manifest.
func manifestPart(all map[string]string) map[string]string {
	part := map[string]string{}
	for k, v := range all {
		if ofManifest(k) {
			part[k] = v
		}
	}
	return part
}

// replaceManifestPart is all with its manifest part replaced by that of put.
func replaceManifestPart(all, put map[string]string) map[string]string {
	merged := manifestPart(put)
	for k, v := range all {
		if !ofManifest(k) {
			merged[k] = v
		}
	}
	return merged
}

// deployment is what wash sees as deployed.
type deployment struct {
	// version that is deployed; empty: none.
	version string
	// pin is the value of the Kubernetes user's annotation, empty where there is none.
	pin string
	// never: nothing was deployed since the first put.
	never bool
}

func deployed(app *oam.Application) deployment {
	d := manifest.Deployed(app.Annotations)
	out := deployment{pin: app.Annotations[oam.DeployedVersionAnnotation], version: d.Version}
	switch {
	case d.Undeployed:
		out.version = ""
		out.never = out.pin == "" && app.Annotations[oam.WashUndeployedAnnotation] == ""
	case d.Version == "":
		out.version = app.Status.Version
	}
	return out
}

// record is the value of the wash-deployed-version annotation that keeps this deployment when the latest version changes.
func (d deployment) record() string {
	if d.version == "" {
		return oam.DeployedNone
	}
	return d.version
}

func setDeployed(app *oam.Application, version string) {
	annotate(app, oam.WashDeployedVersionAnnotation, version)
	delete(app.Annotations, oam.WashUndeployedAnnotation)
}

func setUndeployed(app *oam.Application) {
	annotate(app, oam.WashDeployedVersionAnnotation, oam.DeployedNone)
	annotate(app, oam.WashUndeployedAnnotation, "true")
}

func annotate(app *oam.Application, key, value string) {
	if app.Annotations == nil {
		app.Annotations = map[string]string{}
	}
	app.Annotations[key] = value
}

// hidden are the versions that wash deleted. Versions with a comma are never hidden: del refuses them.
func hidden(app *oam.Application) []string {
	text := app.Annotations[oam.WashDeletedVersionsAnnotation]
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// setHidden keeps those of versions that still are revisions: history is bounded, so the list is.
func setHidden(app *oam.Application, versions []string, revisions []oam.ApplicationRevision) {
	exists := map[string]bool{}
	for _, r := range revisions {
		exists[r.Version] = true
	}
	kept := map[string]bool{}
	for _, v := range versions {
		if exists[v] {
			kept[v] = true
		}
	}
	if len(kept) == 0 {
		delete(app.Annotations, oam.WashDeletedVersionsAnnotation)
		return
	}
	annotate(app, oam.WashDeletedVersionsAnnotation, strings.Join(slices.Sorted(maps.Keys(kept)), ","))
}
