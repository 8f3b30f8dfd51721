//go:build peers && linux

package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a Git repository with one folder of manifests.
type repository struct {
	dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{dir: t.TempDir()}
	r.git(t, "init", "--quiet", "--initial-branch=main", ".")
	return r
}

// commit makes the folder hold exactly these files, and returns the commit.
func (r *repository) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(r.dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--allow-empty", "--message", "A change")
	return strings.TrimSpace(string(r.git(t, "rev-parse", "HEAD")))
}

// archive is the content of a commit, as Flux's source-controller packs it.
func (r *repository) archive(t *testing.T, commit string) []byte {
	t.Helper()
	return r.git(t, "archive", "--format=tar.gz", commit)
}

// url is where Argo CD reads it.
func (r *repository) url() string { return "file://" + r.dir }

func (r *repository) git(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=peers", "GIT_AUTHOR_EMAIL=peers@example.com", "GIT_COMMITTER_NAME=peers", "GIT_COMMITTER_EMAIL=peers@example.com")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}
