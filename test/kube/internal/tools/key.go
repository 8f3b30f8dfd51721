package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// key is the hash of everything that decides what the build of a tool gives:
// the module's files, the packages, the flags, the Go version, the platform.
func (t Tool) key(folder, goVersion string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, goVersion, runtime.GOOS, runtime.GOARCH, t.Name, t.Packages, t.Binary, t.Links, t.flags())
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		return "", fmt.Errorf("the sources of %s cannot be read; is this a whole checkout? %w", t.What, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !(strings.HasSuffix(name, ".go") || name == "go.mod" || name == "go.sum") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, name, len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// flags are go build's flags. They name no path of this machine, so that two
// checkouts share Go's own build cache too.
func (t Tool) flags() []string {
	link := append([]string{"-s", "-w"}, t.LDFlags...)
	return []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", strings.Join(link, " ")}
}
