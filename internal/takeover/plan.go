package takeover

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// plan is what will be written of one application.
type plan struct {
	// versions are applications that differ in spec and metadata of the manifest, the oldest first.
	versions []*oam.Application
	// deployed is the value of the annotation that says what wash deployed.
	deployed string
	// notes say in sentences what could not be brought along, and what newer rules would refuse.
	notes []string
}

// ownPrefix begins annotations and labels that a manifest does not decide.
const ownPrefix = "k8s.wasmcloud.dev/"

// newPlan reads the versions that are to be kept. The text says why nothing can be brought along: that the deployed
// version can't be read is such a reason, because another one would be run in its place.
func newPlan(name, lattice string, s *stored, keep int) (*plan, string) {
	p := &plan{deployed: oam.DeployedNone}
	if dropped := s.bound(keep); dropped > 0 {
		p.note("The %d oldest versions were left behind: history is bounded.", dropped)
	}
	taken := map[string]bool{}
	for _, v := range s.versions {
		taken[v.name] = true
	}
	for _, v := range s.versions {
		isDeployed := s.deployed != nil && *s.deployed == v.name
		app, err := manifest.DecodeWadm("application/json", v.manifest)
		if err != nil && isDeployed {
			return nil, fmt.Sprintf("its deployed version %q can't be read: %v", v.name, err)
		}
		if err != nil {
			p.note("Version %q can't be read: %v.", v.name, err)
			continue
		}
		version := p.rename(v.name, taken)
		if isDeployed {
			p.deployed = version
		}
		p.add(app, name, lattice, version)
	}
	switch {
	case len(p.versions) == 0:
		return nil, "none of its versions can be read: " + strings.Join(p.notes, " ")
	case s.deployed != nil && p.deployed == oam.DeployedNone:
		return nil, fmt.Sprintf("wadm has no manifest of its deployed version %q", *s.deployed)
	}
	p.check()
	return p, ""
}

func (p *plan) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// rename gives another name to versions that wadm allows and that mean something else here.
func (p *plan) rename(version string, taken map[string]bool) string {
	if version != "" && version != oam.DeployedNone && version != manifest.LatestVersion {
		return version
	}
	name := "wadm-" + version
	for taken[name] {
		name += "-"
	}
	taken[name] = true
	p.note("Version %q is called %q now.", version, name)
	return name
}

func (p *plan) add(app *oam.Application, name, lattice, version string) {
	app.Name = name
	app.Annotations = p.fitting("annotation", app.Annotations, func(key, _ string) []string {
		return validation.IsQualifiedName(strings.ToLower(key))
	})
	app.Labels = p.fitting("label", app.Labels, func(key, value string) []string {
		return append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)
	})
	app.Annotations[oam.VersionAnnotation] = version
	app.Labels[oam.LatticeLabel] = lattice
	p.versions = append(p.versions, app)
}

// fitting are the annotations or labels that Kubernetes can hold and that belong to a manifest.
func (p *plan) fitting(what string, all map[string]string, faults func(key, value string) []string) map[string]string {
	out := map[string]string{}
	for key, value := range all {
		if strings.HasPrefix(key, ownPrefix) {
			continue
		}
		if len(faults(key, value)) == 0 {
			out[key] = value
			continue
		}
		if text := fmt.Sprintf("Kubernetes can't hold the %s %q: %q; it was left out.", what, key, value); !slices.Contains(p.notes, text) {
			p.notes = append(p.notes, text)
		}
	}
	return out
}

// check notes what a user would be refused today, of the current and the deployed version.
func (p *plan) check() {
	for i, app := range p.versions {
		version := app.Annotations[oam.VersionAnnotation]
		if i < len(p.versions)-1 && version != p.deployed {
			continue
		}
		errs, _ := manifest.Validate(app)
		for _, err := range errs {
			p.note("Version %q would be refused today: %v.", version, err)
		}
	}
	slices.Sort(p.notes) // maps have no order, and the condition must not change from look to look
}

// version writes one of the versions into an application as it is stored, nil when there is none yet.
func (p *plan) version(i int, app *oam.Application, home string) *oam.Application {
	next := p.versions[i].DeepCopy()
	if app == nil {
		next.Namespace = home
	} else {
		next.ObjectMeta = *app.ObjectMeta.DeepCopy()
		next.Labels, next.Annotations = p.versions[i].DeepCopy().Labels, p.versions[i].DeepCopy().Annotations
		for key, value := range app.Annotations {
			if strings.HasPrefix(key, ownPrefix) {
				next.Annotations[key] = value
			}
		}
		next.Status = *app.Status.DeepCopy()
	}
	next.Annotations[oam.WashDeployedVersionAnnotation] = p.deployed
	next.Annotations[oam.WadmImportAnnotation] = oam.WadmImportRunning
	return next
}
