package orchestrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// ReasonPlacing is the Event that says what is started where, and why there.
const ReasonPlacing = "Placing"

const (
	// longestEvent is what the message of an Event may have, in bytes; the API refuses those above 1024.
	longestEvent = 1000
	// hostsInEvent is how many hosts an Event names.
	hostsInEvent = 5
)

// tell makes Events of transitions, after they were recorded.
func (s *session) tell(a *appState, before, now *v1beta1.ApplicationStatus) {
	if s.config.Recorder == nil {
		return
	}
	was, is := conditions.Find(before.Conditions, v1beta1.ConditionDeployed), conditions.Find(now.Conditions, v1beta1.ConditionDeployed)
	if is == nil || is.Reason == ReasonProgressing || was != nil && was.Reason == is.Reason && was.Message == is.Message {
		return // what is under way is told with its places
	}
	eventType := "Normal"
	if now.Phase == v1beta1.PhaseFailed {
		eventType = "Warning"
	}
	s.event(a, eventType, is.Reason, is.Message)
}

func (s *session) event(a *appState, eventType, reason, message string) {
	if len(message) > longestEvent {
		message = strings.ToValidUTF8(message[:longestEvent], "") + "…"
	}
	s.config.Recorder.Event(a.app, eventType, reason, message)
}

// tellPlaces makes an Event of where components and providers are started or enlarged: one for all that is sent together,
// since those of one reason and object would be counted as one, and a cluster writes each. What is tried again was told
// before.
func (s *session) tellPlaces(a *appState, sent []scaler.Command) {
	if s.config.Recorder == nil {
		return
	}
	hosts, why := map[string][]string{}, map[string]string{}
	for _, c := range sent {
		places := c.Verb == scaler.StartProvider || c.Verb == scaler.Scale && c.Up() && c.Count > 0
		if it := s.items[c.Item()]; !places || it != nil && it.failures > 0 {
			continue
		}
		text := s.hostName(c.Host)
		if c.Count > 0 {
			text = fmt.Sprintf("%d on %s", c.Count, text)
		}
		hosts[c.ID], why[c.ID] = append(hosts[c.ID], text), c.Reason
	}
	var texts []string
	for _, id := range slices.Sorted(maps.Keys(hosts)) {
		shown := hosts[id][:min(len(hosts[id]), hostsInEvent)]
		text := id + ": " + strings.Join(shown, ", ")
		if more := len(hosts[id]) - len(shown); more > 0 {
			text += fmt.Sprintf(" and on %d more hosts", more)
		}
		texts = append(texts, text+"; "+why[id]+".")
	}
	if len(texts) > 0 {
		s.event(a, "Normal", ReasonPlacing, strings.Join(texts, " "))
	}
}
