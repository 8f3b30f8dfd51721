//go:build peers && linux

package peers

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// manifest is an application of one component, as it stands in Git.
type manifest struct {
	namespace, name string
	instances       int
	// zone is what the label peer of hosts must be; empty: any host.
	zone        string
	annotations map[string]string
}

func (m manifest) yaml() string {
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata:\n  namespace: %s\n  name: %s\n", m.namespace, m.name)
	if len(m.annotations) > 0 {
		text.WriteString("  annotations:\n")
		for _, key := range sorted(m.annotations) {
			fmt.Fprintf(&text, "    %s: %q\n", key, m.annotations[key])
		}
	}
	fmt.Fprintf(&text, `spec:
  components:
    - name: greeter
      type: component
      properties:
        image: ghcr.io/trellis-operator/hello:0.1.0
      traits:
        - type: spreadscaler
          properties:
            instances: %d
`, m.instances)
	if m.zone != "" {
		fmt.Fprintf(&text, "            spread:\n              - name: zone\n                requirements:\n                  peer: %s\n", m.zone)
	}
	return text.String()
}

// inGit is the name of the host group that groupInGit makes.
const inGit = "in-git"

// groupInGit is a host group as it stands in Git.
func groupInGit(t *testing.T, namespace string) string {
	t.Helper()
	text, err := yaml.Marshal(hostGroup(namespace, inGit, "").Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// difficult is a manifest with all that tools stumble over: aliases, empty lists and maps, numbers and booleans in free
// JSON, links in the old and in the new form, targets as strings and as objects, traits of others, lists that
// look like maps and are not.
func difficult(namespace, name string) string {
	return strings.NewReplacer("NAMESPACE", namespace, "NAME", name).Replace(`apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  namespace: NAMESPACE
  name: NAME
  labels:
    app.kubernetes.io/part-of: peers
  annotations:
    version: v0.1
    description: "All that tools stumble over"
spec:
  policies: []
  components:
    - name: server
      type: capability
      properties:
        image: wasmcloud+builtin://http-server
        config: []
      traits:
        - type: daemonscaler
          properties:
            replicas: 1
            spread:
              - name: here
                requirements: {peer: nowhere}
        - type: link
          properties:
            target: greeter
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source_config:
              - name: old-form
                properties:
                  address: 127.0.0.1:18999
        - type: link
          properties:
            name: second
            target:
              name: other
              config:
                - name: target-settings
                  properties: {}
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source:
              config:
                - name: new-form
                  properties: {address: "127.0.0.1:18998"}
    - name: greeter
      type: actor
      properties:
        image: ghcr.io/trellis-operator/hello:0.1.0
        config:
          - name: settings
            properties:
              number: "0123"
              truth: "true"
              empty: ""
              text: |
                two
                lines
      traits:
        - type: spreadscaler
          properties:
            replicas: 3
            spread:
              - {name: a, weight: 66, requirements: {peer: nowhere}}
              - {name: b, weight: 34, requirements: {peer: nowhere}}
        - type: example.com/of-someone-else
          properties:
            number: 1
            float: 1.5
            large: 10000000000
            truth: true
            nothing: []
            map: {}
            nested: [{a: 1}, {a: 2}, {}]
    - name: other
      type: component
      properties:
        image: ghcr.io/trellis-operator/hello:0.1.0
      traits: []
`)
}
