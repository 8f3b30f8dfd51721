//go:build peers && linux

package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/test/controlplane"
)

// TestWash runs the real wash: what it prints is what it prints with wadm, and kubectl shows the same truth after each
// step.
func TestWash(t *testing.T) {
	folder := required(t, "TRELLIS_PEER_WASH")
	l := newLab(t, home)
	if l.plane == nil {
		t.Fatal("wash runs against the control plane that the test makes: CLUSTER must not be set")
	}
	w := &wash{lab: l, program: filepath.Join(folder, "bin", "wash"), home: t.TempDir()}
	l.create(t, washBinding())
	for _, zone := range []string{"a", "b"} {
		if err := l.plane.Host("zone-"+zone, map[string]string{"zone": zone}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("an application's life", func(t *testing.T) { washLife(t, w) })
	t.Run("mistakes", func(t *testing.T) { washMistakes(t, w) })
	t.Run("kubectl first", func(t *testing.T) { washAfterKubectl(t, w) })
	t.Run("one file for both", func(t *testing.T) { washSameFile(t, w) })
	t.Run("the lattice itself", func(t *testing.T) { washLattice(t, w) })
	t.Run("forbidden", func(t *testing.T) { washForbidden(t, w) })
}

// washBinding lets wash into its home. Trellis makes one like it in each namespace with a host group.
func washBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "trellis-wash-" + controlplane.Lattice},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "trellis-wash"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "system:trellis:wash:" + controlplane.Lattice}},
	}
}

// wash is the program and what it works on.
type wash struct {
	lab           *lab
	program, home string
}

// run runs wash, and returns what it printed without what differs between runs: the width of columns.
func (w *wash) run(ctx context.Context, args ...string) (output string, exit int, err error) {
	cmd := exec.CommandContext(ctx, w.program, args...)
	cmd.Env = []string{
		"HOME=" + w.home, "PATH=" + os.Getenv("PATH"), "NO_COLOR=1", "WASH_DISABLE_TELEMETRY=1", "RUST_BACKTRACE=0",
		"WASMCLOUD_LATTICE=" + controlplane.Lattice, "WASMCLOUD_CTL_HOST=127.0.0.1", "WASMCLOUD_CTL_PORT=4222",
	}
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return words(string(out)), ended.ExitCode(), nil
	}
	return words(string(out)), 0, err
}

// words are a text's words with one blank between them.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// ok runs wash, which must succeed and print all of want.
func (w *wash) ok(t *testing.T, want []string, args ...string) string {
	return w.says(t, 0, want, args...)
}

// refuses runs wash, which must fail and print all of want.
func (w *wash) refuses(t *testing.T, want []string, args ...string) string {
	return w.says(t, 1, want, args...)
}

func (w *wash) says(t *testing.T, wantExit int, want []string, args ...string) string {
	t.Helper()
	output, exit, err := w.run(t.Context(), args...)
	if err != nil {
		t.Fatalf("wash %v: %v", args, err)
	}
	if exit != wantExit {
		t.Errorf("wash %s ended with %d, want %d: %s", strings.Join(args, " "), exit, wantExit, output)
	}
	for _, text := range want {
		if !strings.Contains(output, text) {
			t.Errorf("wash %s printed %q; want %q in it", strings.Join(args, " "), output, text)
		}
	}
	return output
}

// until runs wash until it prints all of want.
func (w *wash) until(t *testing.T, want []string, args ...string) {
	t.Helper()
	eventually(t, "wash "+strings.Join(args, " "), func(ctx context.Context) string {
		output, _, err := w.run(ctx, args...)
		for _, text := range want {
			if err != nil || !strings.Contains(output, text) {
				return fmt.Sprintf("%q, %v; want %q in it", output, err, text)
			}
		}
		return ""
	})
}

// shows waits until kubectl shows these fields of an application in the home namespace of wash.
func (w *wash) shows(t *testing.T, name string, want map[string]string) {
	t.Helper()
	eventually(t, "kubectl shows "+name, func(ctx context.Context) string {
		app, err := w.lab.application(ctx, home, name)
		if err != nil {
			return err.Error()
		}
		for path, value := range want {
			if got := text(app, strings.Split(path, "/")...); got != value {
				return fmt.Sprintf("%s is %q, want %q; status: %v", path, got, value, app.Object["status"])
			}
		}
		return ""
	})
}

// gone waits until kubectl does not know the application.
func (w *wash) gone(t *testing.T, name string) {
	t.Helper()
	if got := w.lab.kubectl(t, "get", "application", "-n", home, name, "--ignore-not-found", "-o", "name"); got != "" {
		t.Errorf("kubectl still shows %s", got)
	}
}

// home is the namespace in which wash creates.
const home = "default"

var ulid = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)

// file writes a manifest to where wash can read it.
func (w *wash) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(w.home, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
