package manifest

import (
	"encoding/json"
	"errors"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// linkTrait is the one form behind all forms of a link.
type linkTrait struct {
	Name               string // empty: not named
	Namespace, Package string
	Interfaces         []string
	Target             string
	Source             endConfig
	TargetConfig       endConfig
	// old forms that were used, for warnings
	oldSource, oldTarget bool
	// newSource: source is there, and source_config does not count; plainTarget: the target is a string
	newSource, plainTarget bool
}

// endConfig is what a link brings to one of its ends.
type endConfig struct {
	Config  []v1beta1.ConfigProperty
	Secrets []v1beta1.SecretProperty
}

// scalerTrait is a spread or daemon scaler.
type scalerTrait struct {
	Instances uint64
	Spread    []spreadTrait
}

type spreadTrait struct {
	Name         string
	Requirements map[string]string
	Weight       *uint64
}

func (s spreadTrait) weight() uint64 {
	if s.Weight == nil {
		return defaultWeight
	}
	return *s.Weight
}

var errNoProperties = errors.New("properties are missing")

// properties reads the free-form part of a trait.
func properties(t v1beta1.Trait) (any, error) {
	if t.Properties == nil || len(t.Properties.Raw) == 0 {
		return nil, errNoProperties
	}
	return decodeJSON(t.Properties.Raw)
}

func readLink(v any) (linkTrait, error) {
	d := object(v, "link", "")
	l := linkTrait{
		Namespace: d.str("namespace", required), Package: d.str("package", required),
		Interfaces: d.strings("interfaces"), Name: d.str("name", optional),
	}
	switch target := d.take("target").(type) {
	case nil:
		l.oldTarget = d.has("target_config")
		l.TargetConfig.Config = d.configs("target_config")
	case string:
		l.Target, l.plainTarget = target, true
		l.oldTarget = d.has("target_config")
		l.TargetConfig.Config = d.configs("target_config")
	default:
		t := object(target, "target", "target")
		l.Target = t.str("name", required)
		l.TargetConfig = t.endConfig()
		d.adopt(t)
	}
	l.oldSource = d.has("source_config")
	l.newSource = d.has("source")
	if l.newSource {
		s := object(d.take("source"), "source", "source")
		l.Source = s.endConfig()
		d.adopt(s)
	} else {
		l.Source.Config = d.configs("source_config")
	}
	return l, d.err
}

func readScaler(v any) (scalerTrait, error) {
	d := object(v, "scaler", "")
	var s scalerTrait
	name := "instances"
	if d.has("replicas") {
		name = "replicas"
		if d.has("instances") {
			d.fail(&misfit{at: "replicas", err: errors.New("duplicate field `instances`: give instances or its old name replicas, not both")})
		}
	}
	s.Instances = d.unsigned(name)
	for i, item := range d.list("spread") {
		e := object(item, "spread", index("spread", i))
		sp := spreadTrait{Name: e.str("name", required), Requirements: e.stringMap("requirements")}
		if e.has("weight") {
			w := e.unsigned("weight")
			sp.Weight = &w
		}
		e.noMore("name", "requirements", "weight")
		d.adopt(e)
		s.Spread = append(s.Spread, sp)
	}
	d.noMore("instances", "replicas", "spread")
	return s, d.err
}

// shares distributes instances over the spreads as wadm does: by weight, heaviest first, the rest one by one from the
// first. The result has the heaviest first, too.
func (s scalerTrait) shares() ([]Spread, error) {
	if err := checkInstances(s.Instances); err != nil {
		return nil, err
	}
	if len(s.Spread) == 0 {
		return []Spread{{Name: DefaultSpread, Instances: uint32(s.Instances)}}, nil
	}
	sorted := byWeight(s.Spread)
	total, err := totalWeight(sorted)
	if err != nil {
		return nil, err
	}
	out := make([]Spread, len(sorted))
	left := s.Instances
	for i, sp := range sorted {
		n := s.Instances * sp.weight() / total
		left -= n
		out[i] = Spread{Name: sp.Name, Requirements: sp.Requirements, Instances: uint32(n)}
	}
	for i := 0; left > 0; i, left = i+1, left-1 {
		out[i].Instances++
	}
	return out, nil
}

// everywhere is the reading of a daemon scaler: the full number for each spread, weights do not count.
func (s scalerTrait) everywhere() ([]Spread, error) {
	if err := checkInstances(s.Instances); err != nil {
		return nil, err
	}
	if len(s.Spread) == 0 {
		return []Spread{{Name: DefaultSpread, Instances: uint32(s.Instances)}}, nil
	}
	out := make([]Spread, len(s.Spread))
	for i, sp := range s.Spread {
		out[i] = Spread{Name: sp.Name, Requirements: sp.Requirements, Instances: uint32(s.Instances)}
	}
	return out, nil
}

func rawJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(data)
}
