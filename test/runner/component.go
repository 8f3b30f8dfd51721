package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	components  = "test/fixtures/components"
	jsComponent = components + "/js/app.wasm"
	// nodeVersion is what builds it where the machine's own is too old.
	nodeVersion  = "22.23.3"
	jsSourceName = "package.json package-lock.json build.mjs js/app.js wit"
)

// javascript builds the JavaScript component from npm packages, once for each content of its sources: the result is
// kept in the user's cache, which all clones share.
func javascript(ctx context.Context) error {
	key, err := contentKey(components, strings.Fields(jsSourceName))
	if err != nil {
		return fmt.Errorf("read the sources of the JavaScript component: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find the cache of the user: %w; set XDG_CACHE_HOME", err)
	}
	kept := filepath.Join(cache, "trellis", "components", key+".wasm")
	if built, err := os.ReadFile(kept); err == nil {
		return os.WriteFile(jsComponent, built, 0o644)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the cache: %w", err)
	}
	if err := buildJavaScript(ctx, filepath.Join(cache, "trellis", "node")); err != nil {
		return err
	}
	built, err := os.ReadFile(jsComponent)
	if err != nil {
		return fmt.Errorf("read the component that was built: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	if err := os.WriteFile(kept+".new", built, 0o644); err != nil {
		return fmt.Errorf("fill the cache: %w", err)
	}
	return os.Rename(kept+".new", kept)
}

// buildJavaScript builds it with the machine's node, or with one of npm's where that is too old.
func buildJavaScript(ctx context.Context, folder string) error {
	if err := need("npm")(ctx); err != nil {
		return err
	}
	var env []string
	if !nodeIsEnough(ctx) {
		fmt.Printf("the machine's node is older than what the packages need; node %s from npm is put into %s\n", nodeVersion, folder)
		if err := run("npm", "--prefix", folder, "install", "--no-save", "--no-audit", "--no-fund", "node@"+nodeVersion)(ctx); err != nil {
			return err
		}
		env = []string{"PATH=" + filepath.Join(folder, "node_modules", "node", "bin") + string(os.PathListSeparator) + os.Getenv("PATH")}
	}
	// Not `npm ci`: it refuses the lock file because of optional packages for other systems that were never published.
	if err := runEnv(env, "npm", "--prefix", components, "install", "--no-save", "--no-audit", "--no-fund")(ctx); err != nil {
		return err
	}
	return runEnv(env, "npm", "--prefix", components, "run", "build-js")(ctx)
}

// nodeIsEnough says whether the packages run on the machine's node: from 20.19, and not the first ones of 22. Debian 12
// has an older one.
func nodeIsEnough(ctx context.Context) bool {
	text, err := output(ctx, "node", "--version")
	var major, minor int
	if _, scanErr := fmt.Sscanf(text, "v%d.%d", &major, &minor); err != nil || scanErr != nil {
		return false
	}
	return major == 20 && minor >= 19 || major == 22 && minor >= 12 || major > 22
}

// contentKey is a hash over the names and contents of files, and of all files below folders.
func contentKey(dir string, names []string) (string, error) {
	var files []string
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	slices.Sort(files)
	hash := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", file, len(content))
		_, _ = hash.Write(content) // never fails
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}
