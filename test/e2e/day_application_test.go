//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// dayImage is the repository of the component of all applications of the day.
const dayImage = "ghcr.io/trellis-operator/hello"

// dayApplication is one of several kinds, in one of several versions, which differ in counts, configurations and image.
type dayApplication struct {
	namespace, name string
	number, version int
	kind            dayKind
}

// dayKind is a form of application: its components in the manifest, and what they come to.
type dayKind struct {
	components string
	// runs: the end of an id to the instances on both hosts of zone a and on the one of zone b, for version 1.
	runs map[string][2]uint32
	// grows are the ends of ids whose number grows with the version.
	grows string
	// keeps are links and configurations, with the same words as the manifest.
	keeps map[string]string
}

func newDayApplication(namespace string, number int) *dayApplication {
	return &dayApplication{namespace: namespace, name: fmt.Sprint(namespace, "-", number), number: number, version: 1, kind: dayKinds[number%len(dayKinds)]}
}

func (a *dayApplication) image() string { return fmt.Sprintf("%s:0.%d.0", dayImage, 1+a.version%2) }

// words puts the application's own words into a text.
func (a *dayApplication) words(text string) string {
	id := func(name string) string { return strings.ReplaceAll(name, "-", "_") + "-" }
	return strings.NewReplacer(
		"NAMESPACE", a.namespace, "IMAGE", a.image(), "VERSION", fmt.Sprint(a.version), "PORT", fmt.Sprint(20000+10*a.number+a.version),
		"NEIGHBOUR-ID-", id(fmt.Sprint(a.namespace, "-", a.number-1)), "NEIGHBOUR", fmt.Sprint(a.namespace, "-", a.number-1),
		"ID-", id(a.name), "NAME", a.name,
	).Replace(text)
}

func (a *dayApplication) manifest() string {
	return a.words("apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata:\n  name: NAME\n" +
		"  annotations: {version: vVERSION, experimental.wasmcloud.dev/shared: 'true'}\nspec:\n  components:\n" + a.kind.components)
}

func (a *dayApplication) expect(want map[string]map[string]uint32) {
	for end, counts := range a.kind.runs {
		zones := map[string]uint32{}
		for i, zone := range []string{"a", "b"} {
			n := counts[i]
			if strings.Contains(a.kind.grows, end) {
				n *= uint32(a.version)
			}
			if n > 0 {
				zones[zone] = n
			}
		}
		want[a.words("ID-"+end)] = zones
	}
}

func (a *dayApplication) expectWiring(want map[string]string) {
	for key, value := range a.kind.keeps {
		want[a.words(key)] = a.words(value)
	}
}

// dayKinds: the last one uses a component of the application before it.
var dayKinds = []dayKind{
	{ // a component in two zones
		components: `
    - name: two
      type: component
      properties: {image: "IMAGE", config: [{name: greeting, properties: {greeting: "VERSION"}}]}
      traits:
        - type: spreadscaler
          properties:
            instances: VERSION0
            spread:
              - {name: a, requirements: {day: NAMESPACE, zone: a}, weight: 40}
              - {name: b, requirements: {day: NAMESPACE, zone: b}, weight: 10}
`,
		runs: map[string][2]uint32{"two": {8, 2}}, grows: "two",
		keeps: map[string]string{"ID-greeting": `{"greeting":"VERSION"}`},
	},
	{ // two components, one with a link to the other
		components: `
    - name: front
      type: component
      properties: {image: "IMAGE"}
      traits:
        - {type: spreadscaler, properties: {instances: 6, spread: [{name: a, requirements: {day: NAMESPACE, zone: a}}]}}
        - type: link
          properties:
            namespace: acme
            package: kv
            interfaces: [store]
            target: {name: back, config: [{name: back, properties: {key: "VERSION"}}]}
    - name: back
      type: component
      properties: {image: "IMAGE"}
      traits:
        - {type: daemonscaler, properties: {instances: VERSION, spread: [{name: all, requirements: {day: NAMESPACE}}]}}
`,
		runs: map[string][2]uint32{"front": {6, 0}, "back": {2, 1}}, grows: "back",
		keeps: map[string]string{"ID-front -acme:kv-> ID-back": "ID-back", "ID-back": `{"key":"VERSION"}`},
	},
	{ // a web server on every host; its port moves with each version
		components: `
    - name: web
      type: component
      properties: {image: "IMAGE"}
      traits:
        - {type: daemonscaler, properties: {instances: 7, spread: [{name: all, requirements: {day: NAMESPACE}}]}}
    - name: server
      type: capability
      properties: {image: "ghcr.io/wasmcloud/http-server:0.27.0"}
      traits:
        - {type: daemonscaler, properties: {instances: 1, spread: [{name: all, requirements: {day: NAMESPACE}}]}}
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            target: web
            source: {config: [{name: address, properties: {address: "0.0.0.0:PORT"}}]}
`,
		runs:  map[string][2]uint32{"web": {14, 7}, "server": {2, 1}},
		keeps: map[string]string{"ID-server -wasi:http-> ID-web": "ID-address", "ID-address": `{"address":"0.0.0.0:PORT"}`},
	},
	{ // a web server in zone b for the component of its neighbour
		components: `
    - name: guest
      type: component
      properties: {application: {name: NEIGHBOUR, component: web}}
    - name: server
      type: capability
      properties: {image: "ghcr.io/wasmcloud/http-server:0.27.0"}
      traits:
        - {type: spreadscaler, properties: {instances: 1, spread: [{name: b, requirements: {day: NAMESPACE, zone: b}}]}}
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            target: guest
            source: {config: [{name: address, properties: {address: "0.0.0.0:PORT"}}]}
`,
		runs:  map[string][2]uint32{"server": {0, 1}},
		keeps: map[string]string{"ID-server -wasi:http-> NEIGHBOUR-ID-web": "ID-address", "ID-address": `{"address":"0.0.0.0:PORT"}`},
	},
}
