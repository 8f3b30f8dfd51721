package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trellis-operator/trellis/test/kube/internal/existing"
	"github.com/trellis-operator/trellis/test/kube/internal/progress"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

const module = "github.com/trellis-operator/trellis"

func newEnv(ctx context.Context, report *progress.Printer) (*env, error) {
	checkout, err := findCheckout()
	if err != nil {
		return nil, err
	}
	cache, err := tools.OpenCache(ctx, filepath.Join(checkout, "test", "kube", "tools"))
	if err != nil {
		return nil, err
	}
	e := &env{cache: cache, report: report, out: os.Stdout}
	switch choice := os.Getenv("CLUSTER"); choice {
	case "existing":
		e.cluster, err = existing.New(os.Getenv("KUBECONFIG"), os.Getenv("IMAGE_REGISTRY"), cache, report)
	case "", "local":
		e.cluster, err = newLocal(cache, report, checkout)
	default:
		err = fmt.Errorf("CLUSTER is %q; leave it out for a cluster on this machine, or set it to \"existing\"", choice)
	}
	return e, err
}

// findCheckout looks upwards from the current folder for the project.
func findCheckout() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; folder = filepath.Dir(folder) {
		if isCheckout(filepath.Join(folder, "go.mod")) {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("run this inside a checkout of the project: it builds the cluster from there")
		}
	}
}

func isCheckout(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if name, found := strings.CutPrefix(strings.TrimSpace(scanner.Text()), "module "); found {
			return strings.TrimSpace(name) == module
		}
	}
	return false
}

func nodeCount() (int, error) {
	text := os.Getenv("NODES")
	if text == "" {
		return 1, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("NODES is %q; it has to be a number", text)
	}
	return count, nil
}
