package manifest

// Model is what an application wants of its lattice. It is never changed after it was made.
type Model struct {
	// Name of the application as written.
	Name string `json:"name"`
	// Components and providers in the order of the manifest, references to shared ones included.
	Components []Component `json:"components"`
	Links      []Link      `json:"links,omitempty"`
	// Configs that the application brings, each name once, secret references last.
	Configs []Config `json:"configs,omitempty"`
	// External are the names of configurations that someone else must bring.
	External []string `json:"external,omitempty"`
	// Problems are parts of the manifest that cannot be made true as they stand; the rest runs.
	Problems []Problem `json:"problems,omitempty"`
}

// Kind tells components from providers.
type Kind string

// Kinds of what runs on hosts, in wadm's words.
const (
	KindComponent Kind = "component"
	KindProvider  Kind = "capability"
)

// Component is a component or provider.
type Component struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	Kind  Kind   `json:"kind"`
	Image string `json:"image,omitempty"`
	// Shared is set when another application runs it.
	Shared *Reference `json:"shared,omitempty"`
	// Config are the names of its configurations in the lattice, secret references after them.
	Config []string `json:"config,omitempty"`
	// Scaler says how many run where; nil: nothing of it is started by this application.
	Scaler *Scaler `json:"scaler,omitempty"`
}

// Reference names a component of another application.
type Reference struct {
	Application string `json:"application"`
	Component   string `json:"component"`
}

// Scaler says how many instances run where.
type Scaler struct {
	// ID is wadm's; what runs for this scaler carries it as an annotation.
	ID string `json:"id"`
	// Daemon runs Instances on every matching host; otherwise they are spread.
	Daemon    bool   `json:"daemon,omitempty"`
	Instances uint32 `json:"instances"`
	// Spreads are never empty, heaviest first.
	Spreads []Spread `json:"spreads"`
}

// Spread is a share of the instances for hosts with certain labels.
type Spread struct {
	Name         string            `json:"name"`
	Requirements map[string]string `json:"requirements,omitempty"`
	// Instances is the share; of a daemon scaler, the number for each matching host.
	Instances uint32 `json:"instances"`
}

// Matches says whether a host with these labels is eligible.
func (s Spread) Matches(labels map[string]string) bool {
	for key, want := range s.Requirements {
		if got, ok := labels[key]; !ok || got != want {
			return false
		}
	}
	return true
}

// Link lets a source call a target.
type Link struct {
	// ScalerID is wadm's id of the link's scaler, for its status.
	ScalerID string `json:"scalerID"`
	Source   string `json:"source"`
	Target   string `json:"target"`
	// Component is the name of the source in the manifest.
	Component    string   `json:"component"`
	Name         string   `json:"name"`
	Namespace    string   `json:"namespace"`
	Package      string   `json:"package"`
	Interfaces   []string `json:"interfaces"`
	SourceConfig []string `json:"sourceConfig,omitempty"`
	TargetConfig []string `json:"targetConfig,omitempty"`
}

// Config is a named configuration of the lattice, or a secret reference, which is stored in the same form.
type Config struct {
	Name   string            `json:"name"`
	Values map[string]string `json:"values"`
	Secret bool              `json:"secret,omitempty"`
}

// Problem is a part of a manifest that cannot be made true.
type Problem struct {
	// Component is the name of the component concerned.
	Component string `json:"component"`
	Text      string `json:"text"`
	// Harmless: it has no effect, and nothing is missing without it.
	Harmless bool `json:"harmless,omitempty"`
}

// Component returns the component with a name, or nil.
func (m *Model) Component(name string) *Component {
	for i := range m.Components {
		if m.Components[i].Name == name {
			return &m.Components[i]
		}
	}
	return nil
}
