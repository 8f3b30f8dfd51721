package orchestrator

import (
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// Guards hold a command back for what else is under way: hosts carry commands out in any order.

// lacksConfig says whether a command needs a configuration that is neither stored nor put by the same batch: it would only
// fail.
func (s *session) lacksConfig(c scaler.Command, send []scaler.Command) bool {
	return slices.ContainsFunc(c.Configs(), func(name string) bool {
		return !s.seen.HasConfig(name) && !slices.ContainsFunc(send, func(p scaler.Command) bool {
			return p.Verb == scaler.PutConfig && p.ID == name
		})
	})
}

// noteStart remembers the image that a host was told to run, and those that it may run until an exchange has succeeded.
func (s *session) noteStart(it *item, c scaler.Command, until time.Time) {
	if c.Verb != scaler.Update && (c.Verb != scaler.Scale || c.Count == 0) {
		return
	}
	if h := s.seen.Host(c.Host); c.Verb == scaler.Update && h != nil {
		it.addFormer(h.Components[c.ID].Image)
		it.addFormer(it.starting)
	}
	if it.starting != c.Image {
		it.starts = 0
	}
	it.starting, it.startingUntil = c.Image, until
	it.starts++
}

func (i *item) addFormer(image string) {
	if image != "" && !slices.Contains(i.former, image) {
		i.former = append(i.former, image)
	}
}

// wouldRename says whether the host may run, or be about to run, another image than the one that the command names. Told
// to scale, it would call what it runs by that name, for good. First the host must say, when it is asked, what it runs: a
// heartbeat proves nothing, one that is late tells of the time before.
func (s *session) wouldRename(it *item, c scaler.Command) bool {
	h := s.seen.Host(c.Host)
	if c.Verb != scaler.Scale || c.Count == 0 || h == nil {
		return false
	}
	other := func(image string) bool { return image != c.Image }
	return slices.ContainsFunc(it.former, other) ||
		it.starting != "" && other(it.starting) && h.Components[c.ID].Image != it.starting
}

// asked takes over what a host that was asked runs, if anything, and says whether that is news: an exchange has taken
// place when the new image shows, and after all had its time nothing else is to come.
func (i *item) asked(image string, now time.Time) (news bool) {
	news = len(i.former) > 0 && image == i.starting
	if news {
		i.former = nil
	}
	if now.After(i.startingUntil) && (len(i.former) > 0 || i.starting != image) {
		i.starting, i.starts, i.former, news = image, min(1, len(image)), nil, true
	}
	return news
}

// untold says whether a host that was told to run an image has not told since, and after it had its time, what it runs.
func (s *session) untold(key scaler.Item, it *item) bool {
	clock := s.hosts[key.Host]
	return (it.starting != "" || len(it.former) > 0) && clock != nil && !clock.told.After(it.startingUntil)
}

// unanswered says whether what a host was told to run has not shown in time, and the host has not said since what it runs:
// it may run it, and whoever removes a record would leave it there.
func (s *session) unanswered(key scaler.Item, it *item) bool {
	clock := s.hosts[key.Host]
	return starts(it.command) && !it.flying && !it.deadline.IsZero() && !s.shown(it.command) && clock != nil && !clock.told.After(it.deadline)
}

// countPause is how long a number that a host accepted may take to show before another is sent.
const countPause = time.Second

// overtakes says whether a number was planned before the one that a host accepted last shows. What is seen is that of a
// command before; plans and their effects would chase each other. What a user changed meanwhile does not wait.
func (s *session) overtakes(it *item, c scaler.Command, model *manifest.Model) bool {
	last := it.command
	if it.deadline.IsZero() || it.model != model || last.Verb != scaler.Scale || c.Verb != scaler.Scale || last.Count == c.Count {
		return false
	}
	h := s.seen.Host(c.Host)
	return h != nil && h.Components[c.ID].Count != last.Count
}

func (s *session) modelOf(unit unitKey) *manifest.Model {
	if a := s.apps[unit.app]; a != nil {
		return a.model
	}
	return nil
}

// sourceStarts says whether the source of a link is being started. A host then reads the record of the source and writes it
// again as it was, and a link that was put or deleted in between is lost, or is there again.
func (s *session) sourceStarts(c scaler.Command, send []scaler.Command) bool {
	if c.Link == nil {
		return false
	}
	id := c.Link.SourceID
	for _, other := range send {
		if starts(other) && other.ID == id {
			return true
		}
	}
	for _, app := range s.index.ids[id] {
		for key, it := range s.owned[unitKey{app: app}] {
			if key.ID == id && it.awaits() && starts(it.command) {
				return true
			}
		}
	}
	return false
}

func starts(c scaler.Command) bool {
	return c.Verb == scaler.StartProvider || c.Verb == scaler.Scale && c.Count > 0
}

// shown says whether what was put or started is seen; of other commands it says nothing.
func (s *session) shown(c scaler.Command) bool {
	h := s.seen.Host(c.Host)
	switch {
	case h == nil:
	case c.Verb == scaler.StartProvider:
		_, runs := h.Providers[c.ID]
		return runs
	case c.Verb == scaler.Scale && c.Count > 0:
		_, runs := h.Components[c.ID]
		return runs
	}
	switch c.Verb {
	case scaler.PutConfig:
		return s.seen.HasConfig(c.ID)
	case scaler.PutLink:
		return s.seen.HasLink(*c.Link)
	default:
		return true
	}
}
