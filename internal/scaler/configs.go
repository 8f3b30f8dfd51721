package scaler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

func (p *planner) configs() {
	for _, c := range p.want.Model.Configs {
		stored, ok := p.seen.configs[c.Name]
		state := ConfigState{Name: c.Name, Ready: ok && sameConfig(c, stored.Values)}
		if !state.Ready {
			p.ups++
			state.Message = "is being stored"
			reason := "the configuration does not exist"
			if ok {
				reason = "the configuration has other values"
			}
			p.command(Command{Verb: PutConfig, Stage: StageConfigs, ID: c.Name, Values: c.Values, Reason: reason})
		}
		p.out.Configs = append(p.out.Configs, state)
	}
	for _, name := range p.want.Model.External {
		if _, ok := p.seen.configs[name]; !ok {
			p.out.Configs = append(p.out.Configs, ConfigState{Name: name, External: true, Message: missingConfig(name)})
		}
	}
}

func missingConfig(name string) string {
	return fmt.Sprintf("Specified configuration %s does not exist; put it into the lattice (wash config put %s key=value), or give it properties", name, name)
}

// sameConfig compares stored values with wanted ones; the policy of a secret is JSON and is compared as such.
func sameConfig(want manifest.Config, got lattice.Config) bool {
	if !want.Secret {
		return maps.Equal(want.Values, got)
	}
	a, b := maps.Clone(want.Values), maps.Clone(map[string]string(got))
	if !sameJSON(a["policy"], b["policy"]) {
		return false
	}
	delete(a, "policy")
	delete(b, "policy")
	return maps.Equal(a, b)
}

func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var x, y struct {
		Type       string            `json:"type"`
		Properties map[string]string `json:"properties"`
	}
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return x.Type == y.Type && maps.Equal(x.Properties, y.Properties)
}

// missing returns which of the named configurations nobody brings, in words; empty when all are there or on their way.
func (p *planner) missing(names []string) string {
	var absent []string
	for _, name := range names {
		if _, stored := p.seen.configs[name]; !stored && !p.brings(name) && !slices.Contains(absent, name) {
			absent = append(absent, name)
		}
	}
	if len(absent) == 0 {
		return ""
	}
	return missingConfig(strings.Join(absent, ", "))
}

func (p *planner) brings(config string) bool {
	return slices.ContainsFunc(p.want.Model.Configs, func(c manifest.Config) bool { return c.Name == config })
}
