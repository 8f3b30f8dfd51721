//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// twoZones is the manifest of the recorded session: a component in two zones, and an HTTP server in one of them.
func twoZones(name string, instances, port int) string {
	return fmt.Sprintf(`apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: %s
  annotations:
    description: Two zones
spec:
  components:
    - name: web
      type: component
      properties:
        image: ghcr.io/trellis-operator/hello:0.1.0
        config:
          - name: web-conf
            properties: {greeting: hi}
      traits:
        - type: spreadscaler
          properties:
            instances: %d
            spread:
              - {name: a, requirements: {zone: a}, weight: 2}
              - {name: b, requirements: {zone: b}, weight: 1}
    - name: httpserver
      type: capability
      properties:
        image: wasmcloud+builtin://http-server
      traits:
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source:
              config:
                - name: http
                  properties: {address: "127.0.0.1:%d"}
            target: {name: web}
        - type: spreadscaler
          properties:
            instances: 1
            spread:
              - {name: b, requirements: {zone: b}}
`, name, instances, port)
}

// washLife is the recorded session: what wash prints is quoted from it.
func washLife(t *testing.T, w *wash) {
	file := w.file(t, "spread.yaml", twoZones("two-zones", 6, 8090))
	w.ok(t, []string{"manifest is valid"}, "app", "validate", file)

	put := w.ok(t, []string{`Put application "two-zones", version "`}, "app", "put", file)
	first := ulid.FindString(put)
	if first == "" {
		t.Fatalf("wash app put printed no version: %s", put)
	}
	w.shows(t, "two-zones", map[string]string{"status/phase": "Undeployed", "status/version": first, "status/deployedVersion": "", "status/lattice": "default"})
	w.ok(t, []string{"two-zones N/A", "Waiting", "└ Two zones"}, "app", "list")
	w.ok(t, []string{"apiVersion: core.oam.dev/v1beta1 kind: Application metadata: name: two-zones", "version: " + first, "weight: 2"}, "app", "get", "two-zones")

	w.ok(t, []string{fmt.Sprintf(`Deployed application "two-zones", version "%s"`, first)}, "app", "deploy", "two-zones")
	w.until(t, []string{"two-zones@ - Deployed Name Kind Status web SpreadScaler Deployed httpserver -(wasi:http)-> web LinkScaler Deployed httpserver SpreadScaler Deployed"},
		"app", "status", "two-zones")
	w.shows(t, "two-zones", map[string]string{"status/phase": "Deployed", "status/deployedVersion": first})
	answers(t, "http://127.0.0.1:8090/", "hi")
	w.ok(t, []string{"two-zones " + first, "Deployed"}, "app", "list")
	w.ok(t, []string{"Version Deployed " + first + " true"}, "app", "history", "two-zones")
	w.ok(t, []string{`{"greeting": "hi"}`}, "config", "get", "two_zones-web_conf")
	w.ok(t, []string{"two_zones-httpserver two_zones-web wasi:http/incoming-handler default"}, "link", "query")
	w.ok(t, []string{"two_zones-web", "two_zones-httpserver", "zone a", "zone b"}, "get", "inventory")
	w.ok(t, []string{"Claims"}, "get", "claims")

	// Another address and another count: the port moves.
	file = w.file(t, "spread2.yaml", twoZones("two-zones", 3, 8091))
	second := ulid.FindString(w.ok(t, []string{`Deployed application "two-zones", version "`}, "app", "deploy", file))
	w.until(t, []string{"two-zones@ - Deployed"}, "app", "status", "two-zones")
	w.shows(t, "two-zones", map[string]string{"status/phase": "Deployed", "status/deployedVersion": second, "status/version": second})
	answers(t, "http://127.0.0.1:8091/", "hi")
	w.ok(t, []string{first + " false " + second + " true"}, "app", "history", "two-zones")

	// Back to the first version.
	w.ok(t, []string{fmt.Sprintf(`Deployed application "two-zones", version "%s"`, first)}, "app", "deploy", "two-zones", first)
	w.shows(t, "two-zones", map[string]string{"status/phase": "Deployed", "status/deployedVersion": first, "status/version": second})
	w.until(t, []string{"two-zones@ - Deployed"}, "app", "status", "two-zones")
	answers(t, "http://127.0.0.1:8090/", "hi")

	w.ok(t, []string{"Undeployed application: two-zones"}, "app", "undeploy", "two-zones")
	w.until(t, []string{"two-zones@ - Undeployed Name Kind Status"}, "app", "status", "two-zones")
	w.shows(t, "two-zones", map[string]string{"status/phase": "Undeployed", "status/deployedVersion": ""})
	w.until(t, []string{"Source ID Target Interface(s) Name"}, "link", "query")
	w.refuses(t, []string{"No configuration found for name: two_zones-web_conf"}, "config", "get", "two_zones-web_conf")
	w.refuses(t, []string{"Model not found: two-zones"}, "app", "get", "two-zones", "v0")
	w.ok(t, []string{"Deleted application: two-zones"}, "app", "delete", "two-zones", "--all-undeployed")
	w.gone(t, "two-zones")
	w.ok(t, []string{"No applications deleted"}, "app", "delete", "--all-undeployed")
	if list := w.ok(t, []string{"Name Deployed Version Status"}, "app", "list"); strings.Contains(list, "two-zones") {
		t.Errorf("wash still lists the application: %s", list)
	}
}

// answers waits for an answer over HTTP.
func answers(t *testing.T, url, want string) {
	t.Helper()
	eventually(t, url+" answers", func(ctx context.Context) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err.Error()
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			return fmt.Sprintf("%s: %s, %v", response.Status, body, err)
		}
		return ""
	})
}

// washMistakes: what wash says of what can't be done is what it says with wadm.
func washMistakes(t *testing.T, w *wash) {
	file := w.file(t, "bad.yaml", `apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: broken-image
  annotations: {version: v1}
spec:
  components:
    - name: web
      type: component
      properties: {image: ghcr.io/trellis-operator/no-such-component:0.0.1}
      traits:
        - {type: spreadscaler, properties: {instances: 1}}
`)
	w.ok(t, []string{`Put application "broken-image", version "v1"`}, "app", "put", file)
	w.refuses(t, []string{"Invalid request: Manifest version v1 already exists"}, "app", "put", file)
	w.ok(t, []string{`Deployed application "broken-image", version "v1"`}, "app", "deploy", "broken-image", "v1")
	w.until(t, []string{"broken-image@ - Failed", "web SpreadScaler Failed (*)", "Status Messages web └", "no-such-component"}, "app", "status", "broken-image")
	w.shows(t, "broken-image", map[string]string{"status/phase": "Failed", "status/deployedVersion": "v1"})
	w.ok(t, []string{"Deleted application: broken-image"}, "app", "delete", "broken-image")
	w.gone(t, "broken-image")
	w.ok(t, []string{"Already deleted application: nosuch"}, "app", "delete", "nosuch")
	w.refuses(t, []string{"Model not found: nosuch"}, "app", "deploy", "nosuch")
	w.ok(t, []string{"failed to undeploy model [nosuch]: Model not found: nosuch"}, "app", "undeploy", "nosuch") // wash calls that a success
}
