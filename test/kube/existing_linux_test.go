package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testExisting uses the same cluster as if somebody else had made it: images
// go through its registry.
func testExisting(t *testing.T, kube runner) {
	env := []string{"CLUSTER=existing", "KUBECONFIG=/var/lib/trellis-kube/kubeconfig", "IMAGE_REGISTRY=10.219.0.50:5000/team"}
	for _, args := range [][]string{{"up"}, {"status"}, {"down"}} {
		if out, errs, err := kube.try(t, "", env, args...); err != nil {
			t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
		}
	}
	testExisting_Errors(t, kube, env)
	probe := filepath.Join(t.TempDir(), "probe")
	goBuild(t, probe, "./testdata/probe", "CGO_ENABLED=0")
	image := loadProbe(t, kube, probe, env)
	if !strings.HasPrefix(image, "10.219.0.50:5000/team/trellis-operator/trellis:dev-") {
		t.Errorf("the image is called %s", image)
	}
	if output := runJob(t, kube, "pulled", image, "/usr/local/bin/trellis, get, 'http://first'"); output != "from the first" {
		t.Errorf("a pod with a pulled image got %q", output)
	}
}

// testExisting_Errors leaves out or spoils one setting after the other: each
// time one sentence says what to do.
func testExisting_Errors(t *testing.T, kube runner, env []string) {
	closed := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(closed, []byte(closedCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"HOME=" + t.TempDir() + " KUBECONFIG=": "set KUBECONFIG to the file that reaches your cluster",
		"KUBECONFIG=/nowhere":                  "KUBECONFIG is /nowhere, which cannot be read (no such file or directory); set KUBECONFIG to the file",
		"KUBECONFIG=" + closed:                 "see that `kubectl --kubeconfig " + closed + " get nodes` works from here, or set KUBECONFIG",
		"IMAGE_REGISTRY=":                      "CLUSTER=existing needs a registry for the images; set IMAGE_REGISTRY to",
		"IMAGE_REGISTRY=127.0.0.1:1/team":      "the registry 127.0.0.1:1 of IMAGE_REGISTRY does not answer as one",
	} {
		spoiled := append(slices.Clone(env), "XDG_CACHE_HOME="+filepath.Dir(filepath.Dir(filepath.Dir(strings.TrimSpace(kube.run(t, "path", "kubernetes"))))))
		_, errs, err := kube.try(t, "", append(spoiled, strings.Fields(setting)...), "up")
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		last := lines[len(lines)-1]
		sentences := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "kube: ") {
				sentences++
			}
		}
		if err == nil || sentences != 1 || !strings.HasPrefix(last, "kube: ") || !strings.Contains(last, want) {
			t.Errorf("%s: %v\n%s\nwant at the end one line with %s", setting, err, errs, want)
		}
	}
}

// closedCluster is reached at a port where nobody listens.
const closedCluster = `{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a}}],
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]}`
