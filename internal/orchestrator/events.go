package orchestrator

import (
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// onEvent takes over what a host reports. Events may be missed, doubled or late; the next heartbeat sets right what they
// left wrong.
func (s *session) onEvent(e lattice.Event) {
	s.meter.heard()
	switch data := e.Data.(type) {
	case lattice.HostStarted:
		s.onHostStarted(e.Host, data)
		return
	case lattice.HostHeartbeat:
		s.onHeartbeat(e.Host, data)
		return
	case lattice.HostStopped:
		s.log.Info("A host stopped", "host", e.Host)
		s.dropHost(e.Host, false)
		return
	}
	if s.seen.Host(e.Host) == nil {
		// A host we have not met: ask it.
		s.refresh(e.Host)
		return
	}
	clock := s.clock(e.Host)
	clock.seen(time.Now())
	switch data := e.Data.(type) {
	case lattice.LabelsChanged:
		clock.version++
		s.touch(s.seen.SetLabels(e.Host, data.Labels))
		s.touch(s.seen.SetDraining(e.Host, s.drainOf(data.Labels) != nil))
	case lattice.ComponentScaled:
		clock.version++
		s.onScaled(e.Host, data)
	case lattice.ComponentScaleFailed:
		s.didNotStart(e.Host, data)
		s.onFailure(e.Host, data.ComponentID, data.Error)
	case lattice.ProviderStarted:
		clock.version++
		s.touch(s.seen.SetProvider(e.Host, data.ProviderID,
			scaler.Instance{Image: data.ImageRef, Count: 1, Annotations: data.Annotations}))
	case lattice.ProviderStartFailed:
		s.onFailure(e.Host, data.ProviderID, data.Error)
	case lattice.ProviderStopped:
		clock.version++
		s.touch(s.seen.SetProvider(e.Host, data.ProviderID, scaler.Instance{}))
	}
}

// onScaled takes over a new count. The event of a component that ran before carries the old annotations and image, and
// an update ends with a count of 0 that means the old version: then only the inventory tells.
func (s *session) onScaled(host string, e lattice.ComponentScaled) {
	old, ran := s.seen.Host(host).Components[e.ComponentID]
	it := s.items[scaler.Item{Kind: "instance", Host: host, ID: e.ComponentID}]
	expected := it != nil && it.awaits() && it.command.Verb == scaler.Scale && it.command.Count == e.MaxInstances
	if expected {
		it.reported = true
		if it.renews {
			s.dirty.add(it.unit)
		}
	}
	switch {
	case !ran && e.MaxInstances == 0:
	case !ran, e.MaxInstances == 0 && expected:
		s.touch(s.seen.SetComponent(host, e.ComponentID,
			scaler.Instance{Image: e.ImageRef, Count: e.MaxInstances, Annotations: e.Annotations}))
	case e.MaxInstances == 0:
		s.refresh(host)
	default:
		now := old
		now.Count = e.MaxInstances
		s.touch(s.seen.SetComponent(host, e.ComponentID, now))
		if it != nil && it.awaits() && (it.command.Verb == scaler.Update || expected && !it.shows(now)) {
			s.refresh(host)
		}
	}
}

// shows says whether the host is known to have taken over the annotations of the command.
func (i *item) shows(now scaler.Instance) bool {
	return now.Annotations[lattice.AnnotationScaler] == i.command.Annotations[lattice.AnnotationScaler]
}

// didNotStart notes that a host runs nothing for a command. Of several under way each has an event.
func (s *session) didNotStart(host string, e lattice.ComponentScaleFailed) {
	it := s.items[scaler.Item{Kind: "instance", Host: host, ID: e.ComponentID}]
	if it == nil || it.starting != e.ImageRef {
		return
	}
	if it.starts--; it.starts <= 0 {
		it.starting = ""
	}
}

// onFailure notes why a command had no effect. Failures of commands of others are none of ours.
func (s *session) onFailure(host, id, reason string) {
	key := scaler.Item{Kind: "instance", Host: host, ID: id}
	it := s.items[key]
	if it == nil || !it.awaits() {
		return
	}
	if strings.Contains(reason, "already running") {
		s.refresh(host)
	}
	s.failItem(key, it, reason)
}

// afterRefresh settles commands whose effect an inventory does not show: a host that was told the configurations it has
// already drops the new annotations.
func (s *session) afterRefresh(host string) {
	for key, it := range s.items {
		if key.Host != host {
			continue
		}
		now, runs := s.seen.Host(host).Components[key.ID]
		if it.asked(now.Image, time.Now()) {
			s.dirty.add(it.unit) // what was held back may be due
		}
		if !it.awaits() || it.command.Verb != scaler.Scale || it.answered.IsZero() || !it.reported {
			continue
		}
		if !runs || it.command.Count == 0 || now.Count != it.command.Count || now.Image != it.command.Image {
			continue
		}
		if want := it.command.Annotations[lattice.AnnotationScaler]; now.Annotations[lattice.AnnotationScaler] != want {
			s.seen.Accept(host, key.ID, want)
			s.markID(key.ID)
		}
	}
}
