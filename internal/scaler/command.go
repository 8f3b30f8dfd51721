package scaler

import (
	"github.com/trellis-operator/trellis/internal/lattice"
)

// Verb is what a command does.
type Verb string

// Verbs.
const (
	PutConfig     Verb = "PutConfig"
	StartProvider Verb = "StartProvider"
	PutLink       Verb = "PutLink"
	Scale         Verb = "Scale"
	Update        Verb = "Update"
	DeleteLink    Verb = "DeleteLink"
	StopProvider  Verb = "StopProvider"
	DeleteConfig  Verb = "DeleteConfig"
)

// Stage orders commands: those of a stage are sent when hosts have answered all of the stage before.
type Stage int

// Stages: up first, then down.
const (
	StageConfigs Stage = iota
	StageProviders
	StageLinks
	StageComponents
	StageDownLinks
	StageDownComponents
	StageDownProviders
	StageDownConfigs
)

// Command is one request to the lattice. It is absolute: sent twice, it does what it did once.
type Command struct {
	Verb  Verb  `json:"verb"`
	Stage Stage `json:"stage"`
	// Host for components and providers; links and configurations have none.
	Host string `json:"host,omitempty"`
	// ID of the component or provider, or name of the configuration.
	ID          string            `json:"id,omitempty"`
	Image       string            `json:"image,omitempty"`
	Count       uint32            `json:"count,omitempty"`
	Config      []string          `json:"config,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Link        *lattice.Link     `json:"link,omitempty"`
	Values      lattice.Config    `json:"values,omitempty"`
	// Reason why, in words.
	Reason string `json:"reason"`
}

// Item names what a command is about. Commands about one item never overlap, and back off together.
type Item struct {
	Kind, Host, ID string
}

// Item of the command.
func (c Command) Item() Item {
	switch {
	case c.Link != nil:
		k := c.Link.Key()
		return Item{Kind: "link", ID: k.SourceID + " -" + k.Name + "(" + k.WitNamespace + ":" + k.WitPackage + ")-> " + c.Link.Target}
	case c.Host == "":
		return Item{Kind: "config", ID: c.ID}
	default:
		return Item{Kind: "instance", Host: c.Host, ID: c.ID}
	}
}

// Configs are the configurations that must exist for the command to succeed.
func (c Command) Configs() []string {
	if c.Verb == PutLink {
		return append(append([]string(nil), c.Link.SourceConfig...), c.Link.TargetConfig...)
	}
	return c.Config
}

// Up says whether the command brings something about, rather than ending it.
func (c Command) Up() bool { return c.Stage < StageDownLinks }

// LinkItem is the item of commands about a link.
func LinkItem(l lattice.Link) Item { return Command{Link: &l}.Item() }
