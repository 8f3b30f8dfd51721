//go:build peers && linux

package peers

import (
	"strings"
	"testing"
)

// washAfterKubectl: what kubectl applied, changed and deleted is what wash shows, and what wash deploys kubectl shows.
func washAfterKubectl(t *testing.T, w *wash) {
	m := manifest{namespace: home, name: "by-kubectl", instances: 1, annotations: map[string]string{versionAnnotation: "v1"}}
	apply := func() { w.lab.kubectl(t, "apply", "-f", w.file(t, "by-kubectl.yaml", m.yaml())) }
	apply()
	w.until(t, []string{"by-kubectl@ - Deployed", "greeter SpreadScaler Deployed"}, "app", "status", "by-kubectl")
	w.ok(t, []string{"by-kubectl v1", "Deployed"}, "app", "list")

	m.instances, m.annotations[versionAnnotation] = 2, "v2"
	apply()
	w.until(t, []string{"by-kubectl@ - Deployed"}, "app", "status", "by-kubectl")
	w.ok(t, []string{"Version Deployed v1 false v2 true"}, "app", "history", "by-kubectl")
	w.ok(t, []string{"instances: 2", "version: v2"}, "app", "get", "by-kubectl")
	w.ok(t, []string{"instances: 1", "version: v1"}, "app", "get", "by-kubectl", "v1")

	w.ok(t, []string{`Deployed application "by-kubectl", version "v1"`}, "app", "deploy", "by-kubectl", "v1")
	w.shows(t, m.name, map[string]string{"status/phase": "Deployed", "status/deployedVersion": "v1", "status/version": "v2"})

	// A pin belongs to Kubernetes: wash is told so.
	w.lab.kubectl(t, "annotate", "-n", home, "application", m.name, pinAnnotation+"=v2")
	w.shows(t, m.name, map[string]string{"status/phase": "Deployed", "status/deployedVersion": "v2"})
	w.refuses(t, []string{"Invalid request:", pinAnnotation}, "app", "deploy", "by-kubectl", "v1")
	w.ok(t, []string{"failed to undeploy model [by-kubectl]: Invalid request:", pinAnnotation}, "app", "undeploy", "by-kubectl")
	w.shows(t, m.name, map[string]string{"status/phase": "Deployed", "status/deployedVersion": "v2"})

	w.lab.kubectl(t, "delete", "-n", home, "application", m.name)
	w.refuses(t, []string{"Model not found: by-kubectl"}, "app", "get", "by-kubectl")
	if list := w.ok(t, []string{"Name Deployed Version Status"}, "app", "list"); strings.Contains(list, "by-kubectl") {
		t.Errorf("wash still lists the application: %s", list)
	}
}

// washSameFile: one file for `kubectl apply` and `wash app deploy`, in turn.
func washSameFile(t *testing.T, w *wash) {
	file := w.file(t, "same.yaml", twoZones("same", 2, 8092))
	w.lab.kubectl(t, "apply", "-n", home, "-f", file)
	w.until(t, []string{"same@ - Deployed"}, "app", "status", "same")
	version := ulid.FindString(w.ok(t, []string{`Deployed application "same", version "`}, "app", "deploy", file))
	w.shows(t, "same", map[string]string{"status/phase": "Deployed", "status/deployedVersion": version})
	w.lab.kubectl(t, "apply", "-n", home, "-f", file)
	w.until(t, []string{"same@ - Deployed"}, "app", "status", "same")
	if got := w.lab.kubectl(t, "diff", "-n", home, "-f", file); got != "" {
		t.Errorf("kubectl diff of the file that wash deployed: %s", got)
	}
	w.ok(t, []string{"Deleted application: same"}, "app", "delete", "same")
	w.gone(t, "same")
}

// washLattice: what wash does to the lattice beside applications.
func washLattice(t *testing.T, w *wash) {
	w.ok(t, []string{"Configuration 'cx' put successfully."}, "config", "put", "cx", "a=1", "b=2")
	w.ok(t, []string{`"a": "1"`, `"b": "2"`}, "config", "get", "cx")
	w.ok(t, []string{"configuration 'cx' deleted successfully."}, "config", "del", "cx")
	w.refuses(t, []string{"No configuration found for name: cx"}, "config", "get", "cx")
	w.ok(t, []string{"Published link (src) -> (dst) successfully"}, "link", "put", "src", "dst", "wasi", "http", "--interface", "incoming-handler", "--link-name", "default")
	w.until(t, []string{"src dst wasi:http/incoming-handler default"}, "link", "query")
	w.ok(t, []string{"Deleted link for src on wasi:http (default) successfully"}, "link", "del", "src", "wasi", "http")
}

// washForbidden: RBAC closes a namespace to wash; what it says names the right that is missing.
func washForbidden(t *testing.T, w *wash) {
	w.lab.remove(t, washBinding())
	missing := `Invalid request: applications.core.oam.dev "forbidden" is forbidden: User "system:trellis:wash:default" cannot list resource "applications"`
	w.until(t, []string{missing}, "app", "status", "forbidden") // what was allowed shortly before may be remembered for some seconds
	w.refuses(t, []string{missing}, "app", "put", w.file(t, "forbidden.yaml", twoZones("forbidden", 1, 8093)))
	w.gone(t, "forbidden")
}
