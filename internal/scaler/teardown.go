package scaler

import (
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Teardown says what an application that is gone from the lattice left there.
type Teardown struct {
	Application string
	IDs         []string
	Links       []lattice.LinkKey
	Configs     []string
}

// Live tells what live applications want; that is not torn down.
type Live interface {
	// HasApplication says whether a live application of that name is deployed.
	HasApplication(name string) bool
	WantsID(id string) bool
	WantsLink(key lattice.LinkKey) bool
	WantsConfig(name string) bool
	// Settled says whether all that runs for a live application of that name was started for its present version; true
	// when there is none. Until then something may use configurations that the application no longer wants.
	Settled(name string) bool
}

// PlanTeardown says what to end for a record. Done: nothing of it is left. Only what runs in the name of the application
// is ended, whatever the record lists.
func PlanTeardown(t Teardown, live Live, seen *Lattice) (commands []Command, done bool) {
	d := demolition{application: t.Application, seen: seen, reason: "its application is gone; ends the "}
	done = true
	for _, key := range t.Links {
		if !live.WantsLink(key) && d.link(key, "") {
			done = false
		}
	}
	ids := slices.Clone(t.IDs)
	if !live.HasApplication(t.Application) {
		// Older versions may have left more than the last one lists.
		ids = append(ids, seen.ownedIDs(t.Application)...)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if !live.WantsID(id) && d.instance(id) {
			done = false
		}
	}
	inUse := !done || !live.Settled(t.Application)
	for _, name := range t.Configs {
		if !live.WantsConfig(name) && d.config(name, inUse) {
			done = false
		}
	}
	slices.SortStableFunc(d.commands, func(a, b Command) int { return int(a.Stage) - int(b.Stage) })
	return d.commands, done
}

// Orphan is something that runs in the name of an application that nobody knows.
type Orphan struct {
	Host, ID, Application string
}

// Orphans lists what runs in the name of applications that known does not know. It is reported, never stopped.
func Orphans(seen *Lattice, known func(application string) bool) []Orphan {
	var out []Orphan
	for application, ids := range seen.owners {
		if known(application) {
			continue
		}
		for id := range ids {
			for _, h := range seen.placesOf(id) {
				if h.Components[id].Application() == application || h.Providers[id].Application() == application {
					out = append(out, Orphan{Host: h.ID, ID: id, Application: application})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Orphan) int {
		return slices.Compare([]string{a.Application, a.ID, a.Host}, []string{b.Application, b.ID, b.Host})
	})
	return out
}
