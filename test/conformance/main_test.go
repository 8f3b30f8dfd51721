//go:build conformance && linux

// Package conformance asks the Application API and a CustomResourceDefinition of the same schema the same questions,
// through the same kube-apiserver, and attacks what only Kubernetes may ask. See README.md.
package conformance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/trellis-operator/trellis/test/controlplane"
	"github.com/trellis-operator/trellis/test/isolated"
)

// boundNamespaces belong to the lattice, so that wash works in them; the first is where it creates. Applications of all
// others have no lattice: nobody but the test writes them.
var boundNamespaces = []string{"washed", "washed-forbidden"}

var update = flag.Bool("update", false, "write the answers of Kubernetes to testdata/answers.txt")

// history is what kube-apiserver keeps; the check of what is too old waits for it.
const history = 20 * time.Second

// needs are the variables by which the tests find programs; `make test` sets them.
var needs = []string{"KUBEBUILDER_ASSETS", "TRELLIS_HELM"}

// shared is what TestMain starts for all tests.
type shared struct {
	plane *controlplane.Plane
	dir   string
}

// world is set once, before the first test.
var world shared

func TestMain(m *testing.M) {
	flag.Parse()
	var missing []string
	for _, name := range needs {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		fmt.Printf("NOT RUN: %s not set; `make test` builds what these tests need and sets it\n", strings.Join(missing, ", "))
		if os.Getenv("CI") == "true" {
			fmt.Println("FAIL: with CI=true these tests have to run")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(isolated.Run(inPlane{m}))
}

// inPlane runs the tests with a control plane around them.
type inPlane struct{ m *testing.M }

// Run implements isolated.Tests.
func (p inPlane) Run() int {
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	stop, err := startPlane()
	if err != nil {
		fmt.Fprintln(os.Stderr, "the control plane of the tests:", err)
		return 1
	}
	code := p.m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the end of the control plane:", err)
		code = max(code, 1)
	}
	if code != 0 {
		showEnd(filepath.Join(world.dir, "trellis.log"))
	}
	return code
}

func startPlane() (stop func() error, err error) {
	if world.dir, err = os.MkdirTemp(os.Getenv("TRELLIS_CONFORMANCE_LOGS"), "conformance-"); err != nil {
		return nil, err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	world.plane, err = controlplane.Start(context.Background(), controlplane.Options{
		Kubernetes: os.Getenv("KUBEBUILDER_ASSETS"), Helm: os.Getenv("TRELLIS_HELM"),
		Chart: filepath.Join(root, "charts", "trellis"), Bin: filepath.Join(root, "bin"), Dir: world.dir,
		Bound: boundNamespaces, History: history,
	})
	if err != nil {
		return nil, err
	}
	world.plane.Config.QPS = -1
	world.plane.Config.WarningHandler = rest.NoWarnings{}
	fmt.Printf("conformance: the control plane answers after %s\n", time.Since(began).Round(100*time.Millisecond))
	return func() error {
		err := world.plane.Stop()
		if os.Getenv("TRELLIS_CONFORMANCE_LOGS") == "" {
			_ = os.RemoveAll(world.dir)
		}
		return err
	}, nil
}

const linesShown = 15

func showEnd(path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return // it went with the plane; TRELLIS_CONFORMANCE_LOGS keeps it
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	fmt.Printf("the end of %s:\n%s\n", path, strings.Join(lines[max(0, len(lines)-linesShown):], "\n"))
}

const (
	patience = 60 * time.Second
	interval = 100 * time.Millisecond
)

// eventually asks until the answer is empty; what is missing is the answer.
func eventually(t *testing.T, what string, missing func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		last := missing()
		if last == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %s", what, patience, last)
		}
		time.Sleep(interval)
	}
}
