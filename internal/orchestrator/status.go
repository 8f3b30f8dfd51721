package orchestrator

import (
	"fmt"
	"math"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// Reasons of the condition Deployed.
const (
	// ReasonDeployed: all that the deployed version wants is there.
	ReasonDeployed = "Deployed"
	// ReasonProgressing: commands are under way.
	ReasonProgressing = "Progressing"
	// ReasonUndeployed: nothing is meant to run, and nothing does.
	ReasonUndeployed = "Undeployed"
	// ReasonUndeploying: nothing is meant to run; some still does.
	ReasonUndeploying = "Undeploying"
	// ReasonNoHosts: the lattice has no hosts.
	ReasonNoHosts = "NoHosts"
	// ReasonUnsatisfiable: nothing can be done with the hosts and configurations that are there.
	ReasonUnsatisfiable = "Unsatisfiable"
	// ReasonCommandFailed: a host refused or failed; it is tried again after growing pauses.
	ReasonCommandFailed = "CommandFailed"
	// ReasonInvalidManifest: a part of the manifest cannot be made true as it stands.
	ReasonInvalidManifest = "InvalidManifest"
	// ReasonVersionNotFound: the version that should run is not known.
	ReasonVersionNotFound = "VersionNotFound"
)

const (
	hostsShown     = 20
	longestMessage = 1024
	// stalledAfter failures in a row nobody but a user is likely to help.
	stalledAfter = 5
)

// verdict is how far an application is, in one word and one sentence.
type verdict struct {
	phase           v1beta1.ApplicationPhase
	reason, message string
	stalled         bool
}

// describe makes the status of an application: ours anew, what others wrote kept.
func (s *session) describe(a *appState) *v1beta1.ApplicationStatus {
	st := a.app.Status.DeepCopy()
	st.ObservedGeneration = a.app.Generation
	if a.model != nil {
		st.DeployedVersion = a.version
		st.Components = s.components(a)
		st.Links = s.links(a)
		st.Configs = s.configs(a)
	}
	v := s.judge(a)
	st.Phase = v.phase
	s.setConditions(a, st, v)
	return st
}

func (s *session) judge(a *appState) verdict {
	failure, failures := s.failure(a)
	out := &a.outcome
	switch {
	case a.versionError != "":
		return verdict{v1beta1.PhaseFailed, ReasonVersionNotFound, a.versionError, true}
	case a.deployment.Undeployed && out.Converged && !s.awaiting(unitKey{app: a.key}):
		return verdict{phase: v1beta1.PhaseUndeployed, reason: ReasonUndeployed, message: "Manifest has been undeployed"}
	case failure != "":
		return verdict{v1beta1.PhaseFailed, ReasonCommandFailed, failure, failures >= stalledAfter}
	case a.deployment.Undeployed:
		return verdict{phase: v1beta1.PhaseReconciling, reason: ReasonUndeploying, message: "The application is being undeployed."}
	case broken(a.model) != "":
		return verdict{v1beta1.PhaseFailed, ReasonInvalidManifest, broken(a.model), true}
	case out.Converged:
		return verdict{phase: v1beta1.PhaseDeployed, reason: ReasonDeployed, message: "All that the application wants is there."}
	case len(s.hosts) == 0:
		return verdict{phase: v1beta1.PhaseReconciling, reason: ReasonNoHosts,
			message: "Lattice contains no hosts, deployment not started. Start a host in lattice " + s.config.Lattice + "."}
	case len(out.Commands) == 0 && !(out.Replaced && len(out.Leaving) > 0): // a host that ends takes the rest along
		return verdict{phase: v1beta1.PhaseFailed, reason: ReasonUnsatisfiable, message: summary(out)}
	}
	return verdict{phase: v1beta1.PhaseReconciling, reason: ReasonProgressing, message: summary(out)}
}

// broken is the first part of a manifest that cannot be made true.
func broken(m *manifest.Model) string {
	for _, p := range m.Problems {
		if !p.Harmless {
			return shorten(fmt.Sprintf("component %s: %s", p.Component, p.Text))
		}
	}
	return ""
}

// summary joins what parts of the application say, as wadm does.
func summary(out *scaler.Outcome) string {
	var texts []string
	add := func(text string) {
		if text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	for _, c := range out.Configs {
		if c.Message != "" {
			add("configuration " + c.Name + ": " + c.Message)
		}
	}
	for _, c := range out.Components {
		if !c.Ready {
			add(c.Message)
		}
	}
	for _, l := range out.Links {
		if !l.Ready && !l.Retired {
			add(fmt.Sprintf("Putting link definition between %s and %s", l.Link.SourceID, l.Link.Target))
		}
	}
	if len(texts) == 0 {
		add("What earlier versions left is being removed.")
	}
	return shorten(strings.Join(texts, ", "))
}

func shorten(s string) string {
	if len(s) <= longestMessage {
		return s
	}
	return strings.ToValidUTF8(s[:longestMessage], "") + "…"
}

// failure is the first failure of the application's commands, by id and host, so that it does not change from look to
// look, and how often that command failed.
func (s *session) failure(a *appState) (text string, failures int) {
	var first scaler.Item
	for key, it := range s.owned[unitKey{app: a.key}] {
		if it.reason != "" && (text == "" || compareItems(key, first) < 0) {
			first, text, failures = key, s.explain(key, it), it.failures
		}
	}
	return text, failures
}

func compareItems(a, b scaler.Item) int {
	return slices.Compare([]string{a.Kind, a.ID, a.Host}, []string{b.Kind, b.ID, b.Host})
}

func (s *session) explain(key scaler.Item, it *item) string {
	if key.Host == "" {
		return shorten(fmt.Sprintf("%s %s: %s", key.Kind, key.ID, it.reason))
	}
	return shorten(fmt.Sprintf("%s on host %s: %s", key.ID, s.hostName(key.Host), it.reason))
}

func (s *session) hostName(id string) string {
	if h := s.seen.Host(id); h != nil && h.Name != "" {
		return fmt.Sprintf("%s (%s)", h.Name, id)
	}
	return id
}

func (s *session) components(a *appState) []v1beta1.ComponentStatus {
	var out []v1beta1.ComponentStatus
	for _, c := range a.outcome.Components {
		st := v1beta1.ComponentStatus{
			Name: c.Name, ID: c.ID, Kind: string(c.Kind), Image: c.Image,
			Desired: number(c.Desired), Running: number(c.Running), HostCount: int32(len(c.Hosts)), Message: c.Message,
		}
		for _, h := range c.Hosts[:min(len(c.Hosts), hostsShown)] {
			st.Hosts = append(st.Hosts, v1beta1.HostPlacement{HostID: h.Host, Name: h.Name, Instances: number(uint64(h.Instances)), PodUID: s.podOf(h.Host)})
		}
		if text := s.failureOf(a, c.ID); text != "" && !c.Ready {
			st.Message = text
		}
		if st.Message == "" {
			st.Message = problemOf(a.model, c.Name)
		}
		out = append(out, st)
	}
	return out
}

// podOf is the identity of a host whose death would be told, empty for any other.
func (s *session) podOf(host string) types.UID {
	h := s.seen.Host(host)
	if h == nil || s.config.HostEnds == nil {
		return ""
	}
	value := h.Labels[s.config.IdentityLabel]
	if alive, known := s.config.HostEnds.Alive(s.config.IdentityLabel, value); value == "" || !alive || !known {
		return ""
	}
	return types.UID(value)
}

// failureOf is the failure of a component or provider on the first host that has one.
func (s *session) failureOf(a *appState, id string) string {
	host, text := "", ""
	for key, it := range s.owned[unitKey{app: a.key}] {
		if key.Kind == "instance" && key.ID == id && it.reason != "" && (text == "" || key.Host < host) {
			host, text = key.Host, s.explain(key, it)
		}
	}
	return text
}

func problemOf(m *manifest.Model, component string) string {
	for _, p := range m.Problems {
		if p.Component == component {
			return shorten(p.Text)
		}
	}
	return ""
}

func number(n uint64) int32 { return int32(min(n, math.MaxInt32)) }

func (s *session) links(a *appState) []v1beta1.LinkStatus {
	var out []v1beta1.LinkStatus
	for _, l := range a.outcome.Links {
		st := v1beta1.LinkStatus{
			Source: l.Link.SourceID, Target: l.Link.Target, Name: l.Link.Name,
			Interface: l.Link.WitNamespace + ":" + l.Link.WitPackage, Ready: l.Ready, Message: l.Message,
		}
		if it := s.items[scaler.LinkItem(l.Link)]; it != nil && it.reason != "" && !l.Ready {
			st.Message = shorten(it.reason)
		}
		out = append(out, st)
	}
	if s.awaiting(unitKey{app: a.key}) {
		for _, l := range a.retired.Links {
			if !slices.ContainsFunc(a.outcome.Links, func(o scaler.LinkState) bool { return o.Link.Key() == l.Key() && o.Link.Target == l.Target }) {
				out = append(out, v1beta1.LinkStatus{Source: l.SourceID, Target: l.Target, Name: l.Name,
					Interface: l.WitNamespace + ":" + l.WitPackage, Message: mayAppear})
			}
		}
	}
	return out
}

// mayAppear is said of what an earlier version commanded and the lattice does not show (yet): it must not be forgotten
// before all commands are answered for.
const mayAppear = "will be removed if it appears"

// configs lists only what the application brings: whatever stands here is taken for ours when a version changes.
func (s *session) configs(a *appState) []v1beta1.ConfigStatus {
	var out []v1beta1.ConfigStatus
	for _, c := range a.outcome.Configs {
		if c.External {
			continue
		}
		st := v1beta1.ConfigStatus{Name: c.Name, Ready: c.Ready, Message: c.Message}
		if it := s.items[scaler.Item{Kind: "config", ID: c.Name}]; it != nil && it.reason != "" && !c.Ready {
			st.Message = shorten(it.reason)
		}
		out = append(out, st)
	}
	if s.awaiting(unitKey{app: a.key}) {
		for _, name := range a.retired.Configs {
			if !slices.ContainsFunc(a.outcome.Configs, func(o scaler.ConfigState) bool { return o.Name == name }) {
				out = append(out, v1beta1.ConfigStatus{Name: name, Message: mayAppear})
			}
		}
	}
	return out
}

func (s *session) setConditions(a *appState, st *v1beta1.ApplicationStatus, v verdict) {
	now := metav1.Now()
	deployed := metav1.Condition{
		Type: v1beta1.ConditionDeployed, Status: metav1.ConditionFalse, Reason: v.reason, Message: v.message,
		ObservedGeneration: a.app.Generation,
	}
	if v.phase == v1beta1.PhaseDeployed {
		deployed.Status = metav1.ConditionTrue
	}
	conditions.Set(&st.Conditions, deployed, now.Time)
	order := []string{v1beta1.ConditionDeployed}
	if conditions.Find(st.Conditions, v1beta1.ConditionLatticeResolved) != nil {
		order = []string{v1beta1.ConditionLatticeResolved, v1beta1.ConditionDeployed}
	}
	rule := conditions.Rule{
		Order: order, ReadyMessage: v.message,
		Terminal: func(c metav1.Condition) bool { return c.Type == v1beta1.ConditionDeployed && v.stalled },
	}
	rule.Summarise(&st.Conditions, a.app.Generation, now.Time)
	if v.phase == v1beta1.PhaseUndeployed {
		// Nothing is under way: this is what the user asked for.
		conditions.Remove(&st.Conditions, v1beta1.ConditionReconciling)
	}
}
