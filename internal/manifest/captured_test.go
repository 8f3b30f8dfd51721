package manifest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/manifest"
)

type recordedLine struct {
	Subject string              `json:"subject"`
	Headers map[string][]string `json:"headers"`
	JSON    json.RawMessage     `json:"json"`
	Text    string              `json:"text"`
}

func recordedLines(t *testing.T) []recordedLine {
	t.Helper()
	var all []recordedLine
	for _, name := range []string{"host-and-wadm.jsonl", "wash-session.jsonl"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "captured", name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var r recordedLine
			if err := json.NewDecoder(bufio.NewReader(bytes.NewReader(line))).Decode(&r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, r)
		}
	}
	return all
}

func TestCaptured(t *testing.T) {
	lines := recordedLines(t)
	wanted := map[string]manifest.Component{} // by scaler id
	links := map[string]manifest.Link{}
	configs := map[string][]map[string]string{}
	for _, r := range lines {
		if r.Subject != "wadm.api.default.model.put" {
			continue
		}
		body, contentType := []byte(r.Text), ""
		if r.JSON != nil {
			body = r.JSON
		}
		if h := r.Headers["Content-Type"]; len(h) > 0 {
			contentType = h[0]
		}
		app, err := manifest.DecodeWadm(contentType, body)
		if err != nil {
			continue // refused by wadm, too
		}
		m := manifest.Parse(app.Name, &app.Spec)
		for _, c := range m.Components {
			if c.Scaler != nil {
				wanted[m.Name+" "+c.Scaler.ID] = c
				if strings.HasPrefix(c.Image, "file:") {
					wanted[m.Name+" "+c.ID] = c
				}
			}
		}
		for _, l := range m.Links {
			links[l.Source+" "+l.Target+" "+l.Name] = l
		}
		for _, c := range m.Configs {
			configs[c.Name] = append(configs[c.Name], c.Values)
		}
	}
	var scales, starts, puts, settings int
	for _, r := range lines {
		operation, ok := strings.CutPrefix(r.Subject, "wasmbus.ctl.v1.default.")
		if !ok {
			continue
		}
		switch {
		case strings.HasPrefix(operation, "component.scale.") || strings.HasPrefix(operation, "provider.start."):
			if sawWorkload(t, r, wanted) {
				if strings.HasPrefix(operation, "component.") {
					scales++
				} else {
					starts++
				}
			}
		case operation == "link.put":
			if sawLink(t, r, links) {
				puts++
			}
		case strings.HasPrefix(operation, "config.put."):
			if sawConfig(t, strings.TrimPrefix(operation, "config.put."), r, configs) {
				settings++
			}
		}
	}
	if scales < 5 || starts < 2 || puts < 2 || settings < 2 {
		t.Errorf("only %d scales, %d starts, %d links and %d configurations of wadm are in the recording", scales, starts, puts, settings)
	}
}

// sawWorkload compares a command that wadm sent with what we make of the manifest it was sent for.
func sawWorkload(t *testing.T, r recordedLine, wanted map[string]manifest.Component) bool {
	t.Helper()
	var sent struct {
		ComponentID  string            `json:"component_id"`
		ComponentRef string            `json:"component_ref"`
		ProviderID   string            `json:"provider_id"`
		ProviderRef  string            `json:"provider_ref"`
		Annotations  map[string]string `json:"annotations"`
		Config       []string          `json:"config"`
	}
	if err := json.Unmarshal(r.JSON, &sent); err != nil || sent.Annotations["wasmcloud.dev/scaler"] == "" {
		return false // wrong on purpose, or not from wadm
	}
	application := sent.Annotations["wasmcloud.dev/appspec"]
	c, ok := wanted[application+" "+sent.Annotations["wasmcloud.dev/scaler"]]
	if !ok {
		// The recording shortens paths of files, so the ids that were made of them cannot be made again.
		c, ok = wanted[application+" "+sent.ComponentID+sent.ProviderID]
	}
	if !ok {
		t.Errorf("no component of the manifests has the scaler id of %s", r.JSON)
		return true
	}
	want := []string{c.ID, c.Image}
	if diff := cmp.Diff(want, []string{sent.ComponentID + sent.ProviderID, sent.ComponentRef + sent.ProviderRef}); diff != "" {
		t.Errorf("-want +sent:\n%s", diff)
	}
	if !slices.Equal(c.Config, sent.Config) {
		t.Errorf("configurations of %s are %v, sent are %v", c.ID, c.Config, sent.Config)
	}
	if spread := sent.Annotations["wasmcloud.dev/spread_name"]; !slices.ContainsFunc(c.Scaler.Spreads, func(s manifest.Spread) bool { return s.Name == spread }) {
		t.Errorf("%s has no spread %s", c.ID, spread)
	}
	return true
}

func sawLink(t *testing.T, r recordedLine, links map[string]manifest.Link) bool {
	t.Helper()
	var sent struct {
		Source       string   `json:"source_id"`
		Target       string   `json:"target"`
		Name         string   `json:"name"`
		Namespace    string   `json:"wit_namespace"`
		Package      string   `json:"wit_package"`
		Interfaces   []string `json:"interfaces"`
		SourceConfig []string `json:"source_config"`
		TargetConfig []string `json:"target_config"`
	}
	if err := json.Unmarshal(r.JSON, &sent); err != nil {
		return false
	}
	l, ok := links[sent.Source+" "+sent.Target+" "+sent.Name]
	if !ok {
		return false // put by hand
	}
	got := [][]string{{sent.Namespace, sent.Package}, sent.Interfaces, sent.SourceConfig, sent.TargetConfig}
	want := [][]string{{l.Namespace, l.Package}, l.Interfaces, l.SourceConfig, l.TargetConfig}
	for i := range got {
		if !slices.Equal(want[i], got[i]) {
			t.Errorf("link %s -> %s has %v, sent is %v", l.Source, l.Target, want[i], got[i])
		}
	}
	return true
}

func sawConfig(t *testing.T, name string, r recordedLine, configs map[string][]map[string]string) bool {
	t.Helper()
	var sent map[string]string
	if err := json.Unmarshal(r.JSON, &sent); err != nil || configs[name] == nil {
		return false
	}
	if !slices.ContainsFunc(configs[name], func(c map[string]string) bool { return maps.Equal(c, sent) }) {
		t.Errorf("configuration %s is one of %v, sent is %v", name, configs[name], sent)
	}
	return true
}
