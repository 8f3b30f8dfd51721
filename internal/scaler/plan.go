package scaler

import (
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// Want is what one application wants of the lattice.
type Want struct {
	// Model of the deployed version; a model without components when nothing should run.
	Model *manifest.Model
	// Retired is what earlier versions put into the lattice.
	Retired Retired
	// Keep says which configurations someone else still needs; nil: none.
	Keep func(config string) bool
	// Underway says whether a host was told to run this and has not shown it yet; nil: none was. All else being equal it
	// is chosen again, so that a plan does not change its mind before it took effect.
	Underway func(host, id string) bool
	// Load is, by host, how much it was told to run and does not show yet, for any application. All but a few count as if
	// they ran.
	Load map[string]int
	// MayLeave says whether what is replaced may end on a host that drains; nil: nowhere yet.
	MayLeave func(host string) bool
}

// Retired are links and configurations of earlier versions. What runs on hosts is known by its annotations.
type Retired struct {
	Links   []lattice.Link
	Configs []string
}

// Outcome is the plan for one application, and how far the lattice is from it.
type Outcome struct {
	// Commands in the order to send them; empty when nothing can or need be done.
	Commands   []Command
	Components []ComponentState
	Links      []LinkState
	Configs    []ConfigState
	// Retired is what of Want.Retired is still there.
	Retired Retired
	// Converged: the lattice is as wanted and nothing is left to remove, but for what still runs on hosts that drain.
	Converged bool
	// Leaving are the hosts that drain and run something of the application still. Replaced: what they run is there
	// elsewhere.
	Leaving  []string
	Replaced bool
}

// ComponentState is how far a component or provider is.
type ComponentState struct {
	Name, ID string
	Kind     manifest.Kind
	Image    string
	// Desired and Running are instances; hosts for providers.
	Desired, Running uint64
	Hosts            []Placement
	// Ready: as wanted. Message says what is missing and what would help.
	Ready   bool
	Message string
}

// Placement is the share of one host.
type Placement struct {
	Host, Name string
	Instances  uint32
}

// LinkState is how far a link is.
type LinkState struct {
	Link    lattice.Link
	Ready   bool
	Message string
	// Retired links belong to an earlier version and are being removed.
	Retired bool
}

// ConfigState is how far a configuration is.
type ConfigState struct {
	Name    string
	Ready   bool
	Message string
	// External configurations are brought by someone else; Retired ones belong to an earlier version.
	External, Retired bool
}

type planner struct {
	want Want
	seen *Lattice
	out  Outcome
	// ups are unsatisfied wishes, with or without a command for them.
	ups int
	// leaving ends what runs on hosts that drain.
	leaving []Command
}

// Plan says what to do for one application. What satisfies the application is kept; only what is missing is placed; new
// is put before old is removed.
func Plan(want Want, seen *Lattice) Outcome {
	p := &planner{want: want, seen: seen}
	p.configs()
	for i := range want.Model.Components {
		p.component(&want.Model.Components[i])
	}
	p.links()
	// What earlier versions left is removed when this one is complete: a version that cannot start must not end the one
	// that runs.
	p.removeOld()
	p.sort()
	p.out.Converged = p.ups == 0 && len(p.out.Commands) == 0 && len(p.out.Retired.Links)+len(p.out.Retired.Configs) == 0
	p.leave()
	return p.out
}

// sort orders commands by stage.
func (p *planner) sort() {
	slices.SortStableFunc(p.out.Commands, func(a, b Command) int { return int(a.Stage) - int(b.Stage) })
}

func (p *planner) command(c Command) { p.out.Commands = append(p.out.Commands, c) }

// annotations of what runs for this application, as wadm writes them.
func annotations(application, scalerID, spread string) map[string]string {
	out := map[string]string{
		lattice.AnnotationManagedBy: lattice.ManagedByWadm,
		lattice.AnnotationAppSpec:   application,
	}
	if scalerID != "" {
		out[lattice.AnnotationScaler] = scalerID
		out[lattice.AnnotationSpread] = spread
	}
	return out
}
