package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	objectSize = 4 << 10
	apiVersion = "v1beta1"
	ourGroup   = "core.oam.dev"
)

// object is an application of objectSize bytes. Beat makes one spec differ from another.
type object struct {
	namespace, name, resourceVersion string
	beat                             int
	annotations                      map[string]string
}

// marks are replaced in the template of a group.
const (
	markNamespace = "@namespace@"
	markName      = "@name@"
	markVersion   = "@resourceVersion@"
	markBeat      = "@beat@"
)

// template is the JSON of an application with marks in it, for one group.
func template(group string) string {
	components := make([]any, 0, 6)
	for i := range 5 {
		components = append(components, map[string]any{
			"name": fmt.Sprintf("component-%d", i), "type": "component",
			"properties": map[string]any{
				"image":  fmt.Sprintf("ghcr.io/trellis-operator/component-%d:0.1.0", i),
				"config": []any{map[string]any{"name": fmt.Sprintf("settings-%d", i), "properties": map[string]any{"beat": markBeat, "level": "info"}}},
			},
			"traits": []any{
				map[string]any{"type": "spreadscaler", "properties": map[string]any{"instances": 2, "spread": []any{
					map[string]any{"name": "zone-a", "weight": 50, "requirements": map[string]any{"zone": "a"}},
					map[string]any{"name": "zone-b", "weight": 50, "requirements": map[string]any{"zone": "b"}},
				}}},
				map[string]any{"type": "link", "properties": map[string]any{"target": map[string]any{"name": "store"}, "namespace": "wasi",
					"package": "keyvalue", "interfaces": []any{"atomics", "store"}, "name": fmt.Sprintf("store-%d", i)}},
			},
		})
	}
	provider := map[string]any{"name": "store", "type": "capability", "properties": map[string]any{
		"image":  "ghcr.io/wasmcloud/keyvalue-nats:0.3.1",
		"config": []any{map[string]any{"name": "bucket", "properties": map[string]any{"bucket": "bench"}}},
	}}
	components = append(components, provider)
	tree := map[string]any{
		"apiVersion": group + "/" + apiVersion, "kind": "Application",
		"metadata": map[string]any{"namespace": markNamespace, "name": markName, "resourceVersion": markVersion},
		"spec":     map[string]any{"components": components},
	}
	padding := provider["properties"].(map[string]any)["config"].([]any)[0].(map[string]any)["properties"].(map[string]any)
	padding["text"] = noise(max(0, objectSize-len(encode(tree))))
	return encode(tree)
}

// noise is text that no compression makes smaller than people's settings would be.
func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[random.IntN(36)]
	}
	return string(text)
}

func encode(tree any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return string(text)
}

// body is an object as a request carries it.
func (t *target) body(o object) string {
	text := strings.NewReplacer(markNamespace, o.namespace, markName, o.name, markBeat, fmt.Sprint(o.beat), markVersion, o.resourceVersion).Replace(t.template)
	if len(o.annotations) > 0 {
		text = strings.Replace(text, `"metadata":{`, `"metadata":{"annotations":`+encode(o.annotations)+",", 1)
	}
	return text
}

// status is an object with only a status, which alternates.
func (t *target) status(o object) string {
	phase := []string{"Reconciling", "Undeployed"}[o.beat%2]
	return encode(map[string]any{
		"apiVersion": t.group + "/" + apiVersion, "kind": "Application",
		"metadata": map[string]any{"namespace": o.namespace, "name": o.name, "resourceVersion": o.resourceVersion},
		"spec":     map[string]any{"components": []any{}},
		"status":   map[string]any{"phase": phase, "observedGeneration": o.beat},
	})
}

// namespaces of a run, and the object of a number in them.
func namespaceNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("bench-%03d", i)
	}
	return names
}

func numbered(i, namespaces int) object {
	return object{namespace: fmt.Sprintf("bench-%03d", i%namespaces), name: fmt.Sprintf("app-%05d", i)}
}
