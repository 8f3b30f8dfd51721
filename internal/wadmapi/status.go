package wadmapi

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// Types of a status, as spelled on the wire.
const (
	statusWaiting     = "waiting"
	statusUndeployed  = "undeployed"
	statusReconciling = "reconciling"
	statusDeployed    = "deployed"
	statusFailed      = "failed"
)

// Status is the state of an application in wadm's form.
type Status struct {
	Status  StatusInfo     `json:"status"`
	Scalers []ScalerStatus `json:"scalers,omitempty"`
	// Version and Components are deprecated: always empty.
	Version    string     `json:"version"`
	Components []struct{} `json:"components"`
}

// StatusInfo is a type and, where there is something to say, a message.
type StatusInfo struct {
	Type    string `json:"type"`
	Message string `json:"message,omitempty"`
}

// ScalerStatus is the state of one component, provider or link.
type ScalerStatus struct {
	ID     string     `json:"id"`
	Kind   string     `json:"kind"`
	Name   string     `json:"name"`
	Status StatusInfo `json:"status"`
}

func plainStatus(kind, message string) Status {
	return Status{Status: StatusInfo{Type: kind, Message: message}, Components: []struct{}{}}
}

// newStatus maps the status of an application whose deployed version has this spec. inList chooses between wadm's two
// words for an application that was never deployed: its list says waiting, its status undeployed.
func newStatus(app *oam.Application, deployedSpec *oam.ApplicationSpec, inList bool) Status {
	switch d := deployed(app); {
	case d.version == "" && d.never && inList:
		return plainStatus(statusWaiting, textWaiting)
	case d.version == "" && d.never:
		return plainStatus(statusUndeployed, "")
	case d.version == "":
		return plainStatus(statusUndeployed, textIsUndeployed)
	}
	m := &mapping{app: app, overall: overallType(app)}
	if deployedSpec != nil {
		m.scalers(manifest.Parse(app.Name, deployedSpec), deployedSpec)
	}
	message := strings.Join(m.messages, ", ")
	if message == "" && m.overall != statusDeployed {
		message = notReadyMessage(app)
	}
	s := plainStatus(m.overall, message)
	s.Scalers = m.out
	return s
}

// overallType believes "deployed" only of the current generation; a failure is told at once.
func overallType(app *oam.Application) string {
	switch settled := app.Status.ObservedGeneration >= app.Generation; {
	case app.Status.Phase == oam.PhaseDeployed && settled:
		return statusDeployed
	case app.Status.Phase == oam.PhaseFailed:
		return statusFailed
	default:
		return statusReconciling
	}
}

// notReadyMessage is what the conditions say where no component has anything to say, for instance that no host is there.
func notReadyMessage(app *oam.Application) string {
	for _, c := range app.Status.Conditions {
		if c.Type == oam.ConditionReady && c.Status != metav1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

type mapping struct {
	app      *oam.Application
	overall  string
	messages []string
	out      []ScalerStatus
}

// scalers lists one entry for each scaler and link trait, in the order of the manifest, as wadm does.
func (m *mapping) scalers(model *manifest.Model, spec *oam.ApplicationSpec) {
	links := map[string][]manifest.Link{}
	for _, l := range model.Links {
		links[l.Component] = append(links[l.Component], l)
	}
	for i, c := range model.Components {
		scaled := c.Scaler == nil
		for _, t := range spec.Components[i].Traits {
			switch {
			case t.Type == manifest.TraitLink && len(links[c.Name]) > 0:
				m.link(links[c.Name][0])
				links[c.Name] = links[c.Name][1:]
			case !scaled && (t.Type == manifest.TraitSpread || t.Type == manifest.TraitDaemon):
				m.component(c)
				scaled = true
			}
		}
		if !scaled {
			m.component(c)
		}
	}
}

func (m *mapping) component(c manifest.Component) {
	kind := "SpreadScaler"
	if c.Scaler.Daemon {
		kind = "DaemonScaler"
	}
	ready, message := false, ""
	for _, s := range m.app.Status.Components {
		if s.ID == c.ID {
			ready, message = s.Running >= s.Desired && s.Message == "", s.Message
		}
	}
	m.add(ScalerStatus{ID: c.Scaler.ID, Kind: kind, Name: c.ID}, ready, message)
}

func (m *mapping) link(l manifest.Link) {
	name := l.Source + " -(" + l.Namespace + ":" + l.Package + ")-> " + l.Target
	ready, message := false, ""
	for _, s := range m.app.Status.Links {
		if s.Source == l.Source && s.Target == l.Target && s.Name == l.Name && s.Interface == l.Namespace+":"+l.Package {
			ready, message = s.Ready, s.Message
		}
	}
	m.add(ScalerStatus{ID: l.ScalerID, Kind: "LinkScaler", Name: name}, ready, message)
}

// add gives the entry its type: deployed when the whole is or the part is ready, failed when the whole failed and the
// part has something to say.
func (m *mapping) add(s ScalerStatus, ready bool, message string) {
	switch {
	case m.overall == statusDeployed, ready:
		s.Status = StatusInfo{Type: statusDeployed}
	case m.overall == statusFailed && message != "":
		s.Status = StatusInfo{Type: statusFailed, Message: message}
	default:
		s.Status = StatusInfo{Type: statusReconciling, Message: message}
	}
	if text := strings.TrimSpace(s.Status.Message); text != "" {
		m.messages = append(m.messages, text)
	}
	m.out = append(m.out, s)
}
