package manifest

import (
	"errors"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// ValidateWadm returns the first error of a manifest as wadm words it, or nil. Warnings are not returned: wadm's put
// discards them, see WadmFindings.
func ValidateWadm(app *v1beta1.Application) error {
	for _, f := range WadmFindings(app) {
		if !f.Warning {
			return errors.New(f.Text)
		}
	}
	return nil
}

// Finding is one result of wadm's validation.
type Finding struct {
	Warning bool   `json:"warning,omitempty"`
	Text    string `json:"text"`
}

// WadmFindings are all results of wadm's validation in its order and words.
func WadmFindings(app *v1beta1.Application) []Finding {
	w := &wadmCheck{app: app, shapes: make([][]shape, len(app.Spec.Components))}
	for i, c := range app.Spec.Components {
		for _, t := range c.Traits {
			w.shapes[i] = append(w.shapes[i], shapeOf(t))
		}
	}
	for _, rule := range []func(*wadmCheck){
		(*wadmCheck).name, (*wadmCheck).version, (*wadmCheck).metadata, (*wadmCheck).names, (*wadmCheck).missing,
		(*wadmCheck).interfaces, (*wadmCheck).targets, (*wadmCheck).secrets, (*wadmCheck).customTraits,
		(*wadmCheck).sources, (*wadmCheck).duplicateLinks, (*wadmCheck).linkConfigs, (*wadmCheck).oldForms,
	} {
		rule(w)
	}
	return w.findings
}

type wadmCheck struct {
	app      *v1beta1.Application
	shapes   [][]shape
	findings []Finding
}

// shape is a trait as wadm's untagged parsing sees it: a link if it reads as one, else a scaler, else custom.
type shape struct {
	kind   string
	link   *linkTrait
	scaler *scalerTrait
	value  any
}

func shapeOf(t v1beta1.Trait) shape {
	s := shape{kind: t.Type}
	v, err := properties(t)
	if err != nil {
		return s
	}
	s.value = v
	if l, err := readLink(v); err == nil {
		s.link = &l
	} else if sc, err := readScaler(v); err == nil && t.Type != TraitLink {
		// wadm takes a `type: link` that looks like a scaler for one, and then panics; here it is a bad link.
		s.scaler = &sc
	}
	return s
}

func (s shape) custom() bool { return s.link == nil && s.scaler == nil }

func (w *wadmCheck) each(f func(c v1beta1.Component, s shape)) {
	for i, c := range w.app.Spec.Components {
		for _, s := range w.shapes[i] {
			f(c, s)
		}
	}
}

func (w *wadmCheck) fail(text string) { w.findings = append(w.findings, Finding{Text: text}) }
func (w *wadmCheck) warn(text string) {
	w.findings = append(w.findings, Finding{Text: text, Warning: true})
}
