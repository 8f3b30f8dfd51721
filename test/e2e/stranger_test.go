//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/test/e2e/strangers"
)

// visit makes a visit from a pod that has no credentials at all.
func visit(t *testing.T, namespace string, what strangers.Visit) (report strangers.Report) {
	t.Helper()
	image, err := strangerImage()
	if err != nil {
		t.Fatal(err)
	}
	name := startStranger(t, namespace, image, what)
	t.Cleanup(func() {
		kubectlInCleanup(t, "delete", "pod", name, "-n", namespace, "--ignore-not-found", "--wait=false")
	})
	eventually(t, 3*time.Minute, "a visit from a pod", func() error {
		phase, err := try(t, "", "get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.phase}")
		if phase == "Failed" {
			t.Fatalf("the stranger fails: %s", kubectl(t, "logs", name, "-n", namespace))
		}
		if err == nil && phase != "Succeeded" {
			err = fmt.Errorf("the pod is %s", phase)
		}
		return err
	})
	if err := json.Unmarshal([]byte(kubectl(t, "logs", name, "-n", namespace)), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

func startStranger(t *testing.T, namespace, image string, what strangers.Visit) (name string) {
	t.Helper()
	argument, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	pod, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": "stranger-"},
		"spec": map[string]any{
			"restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
			"containers": []any{map[string]any{
				"name": "stranger", "image": image, "imagePullPolicy": "IfNotPresent",
				"command": []string{"/usr/local/bin/trellis", string(argument)},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	name, err = try(t, string(pod), "create", "-n", namespace, "-f", "-", "-o", "jsonpath={.metadata.name}")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// strangerImage builds the stranger once and gives it to the cluster, as an image that plays the part of Trellis.
var strangerImage = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "stranger-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "stranger")
	build := exec.Command("go", "build", "-o", program, "./strangers/stranger")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the stranger: %w: %s", err, out)
	}
	load := exec.Command("go", "run", "-C", "../kube", ".", "load-images", "--trellis", program)
	load.Stderr = os.Stderr
	out, err := load.Output()
	if err != nil {
		return "", fmt.Errorf("load the stranger: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if image, ok := strings.CutPrefix(line, "TRELLIS_IMAGE="); ok {
			return strings.TrimSpace(image), nil
		}
	}
	return "", errors.New("load the stranger: no image is named")
})
