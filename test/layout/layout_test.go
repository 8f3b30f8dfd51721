// Package layout holds the rules of who imports whom, by a test over direct imports.
package layout

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/trellis-operator/trellis/"

// mayImport lists, for each room, the rooms of this module it may import directly. A new room needs a new line.
var mayImport = map[string][]string{
	"cmd/trellis":        {"internal/cli"},
	"cmd/trellis-host":   {"internal/wasmhost", "internal/ociwasm"},
	"cmd/trellis-helper": {"internal/helper"},

	"api/oam":       {},
	"api/wasmcloud": {},

	"charts/trellis": {}, // its test renders the chart

	"internal/apply":        {},
	"internal/archive":      {},
	"internal/backup":       {},
	"internal/binding":      {},
	"internal/census":       {"internal/lattice"},
	"internal/certificates": {},
	"internal/conditions":   {},
	"internal/config":       {},
	"internal/helper":       {},
	"internal/install":      {"api/wasmcloud"},
	"internal/lattice":      {},
	"internal/ledger":       {},
	"internal/lease":        {},
	"internal/natsconn":     {},
	"internal/natsd":        {},
	"internal/ociwasm":      {},
	"internal/policy":       {"api/oam"},
	"internal/registry":     {},
	"internal/secrets":      {},
	"internal/store":        {},
	"internal/storemark":    {},

	"internal/manifest":     {"api/oam", "internal/policy"},
	"internal/applications": {"api/oam", "internal/manifest"},
	"internal/schema":       {"api/oam", "api/wasmcloud", "internal/manifest"},
	"internal/scaler":       {"internal/manifest", "internal/lattice"},
	"internal/control":      {"internal/lattice"},
	"internal/orchestrator": {"api/oam", "internal/conditions", "internal/manifest", "internal/scaler", "internal/lattice"},
	"internal/takeover":     {"api/oam", "internal/manifest"},
	"internal/wadmapi":      {"api/oam", "internal/manifest", "internal/lattice"},
	"internal/apiserver":    {"api/oam", "internal/manifest", "internal/store"},
	"internal/grants":       {"api/oam", "api/wasmcloud", "internal/manifest", "internal/policy", "internal/secrets"},
	"internal/rotation":     {"api/oam", "internal/policy", "internal/secrets"},
	"internal/natskeys":     {"api/wasmcloud", "internal/lattice"},
	"internal/hostgroup":    {"api/wasmcloud", "internal/apply", "internal/conditions", "internal/lattice", "internal/ociwasm"},
	"internal/exposure":     {"api/oam", "api/wasmcloud", "internal/apply", "internal/conditions", "internal/lattice", "internal/manifest", "internal/policy"},
	"internal/wasmhost":     {"internal/lattice", "internal/natsconn", "internal/ociwasm"},
}

// foreign lists the heavy dependencies that have one home: import prefix to the rooms that may import it.
var foreign = map[string][]string{
	"k8s.io/apiserver/":                      {"internal/apiserver", "internal/store", "internal/cli"},
	"sigs.k8s.io/controller-runtime":         {"internal/apply", "internal/hostgroup", "internal/exposure", "internal/cli"},
	"github.com/bytecodealliance/":           {"internal/wasmhost"},
	"github.com/nats-io/nats-server/":        {"internal/natsd"},
	"github.com/google/go-containerregistry": {"internal/ociwasm", "internal/registry"},
	"github.com/nats-io/nats.go": {
		"internal/store", "internal/ledger", "internal/control", "internal/natsconn", "internal/lease",
		"internal/wadmapi", "internal/wasmhost", "internal/cli", "internal/helper", "internal/backup",
		"internal/takeover", "internal/secrets",
	},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list shows %d packages; the rules below would prove nothing", len(packages))
	}
	for _, p := range packages {
		room := roomOf(strings.TrimPrefix(p.ImportPath, module))
		if room == "internal/cli" || strings.HasPrefix(room, "test/") || strings.HasPrefix(room, "examples/") {
			continue // cli imports everything; tests and examples are read by nobody
		}
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("%s is a room without a rule: give it a line in mayImport", room)
			continue
		}
		for _, imported := range p.Imports {
			checkImport(t, p.ImportPath, room, imported, allowed)
		}
	}
}

func checkImport(t *testing.T, from, room, imported string, allowed []string) {
	t.Helper()
	if own, isOwn := strings.CutPrefix(imported, module); isOwn {
		target := roomOf(own)
		if target != room && !slices.Contains(allowed, target) {
			t.Errorf("%s imports %s, which %s may not: it may import %v", from, imported, room, allowed)
		}
		return
	}
	for prefix, homes := range foreign {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(homes, room) {
			t.Errorf("%s imports %s, whose homes are %v", from, imported, homes)
		}
	}
}

// roomOf is the first two elements of a path below the module: internal/store, api/oam, cmd/trellis.
func roomOf(path string) string {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 {
		return path
	}
	return parts[0] + "/" + parts[1]
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list ./...: %v", err)
	}
	var packages []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := decoder.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatalf("read the output of go list: %v", err)
		}
		packages = append(packages, p)
	}
}
