package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// selfTest makes a cluster, breaks it in every way and takes it away: test/kube's own test. It never touches a cluster
// that is up; where it is demanded, that is a failure.
func (c *cluster) selfTest(ctx context.Context) error {
	why := "CLUSTER=existing says to make no cluster on this machine"
	if !existing() {
		up, err := c.isUp(ctx)
		if err != nil {
			return err
		}
		if !up {
			return runEnv([]string{"TRELLIS_KUBE_TEST=1"}, "go", "test", "-C", "test/kube", "-count=1", "-timeout=15m", "-run=TestCluster", ".")(ctx)
		}
		why = "a cluster is up, and this test makes and breaks one of its own; `make down` takes it away"
	}
	if os.Getenv("CI") == "true" {
		return fmt.Errorf("%s, and with CI=true this test has to run", why)
	}
	return notRun{why}
}

// isUp says whether this machine has a cluster of test/kube.
func (c *cluster) isUp(ctx context.Context) (bool, error) {
	if existing() {
		return true, nil
	}
	status, err := c.kube(ctx, "status")
	return err == nil && !strings.Contains(status, "no cluster"), err
}

// asExisting takes the cluster for one that the user has: images go through a registry, and the chart is upgraded to
// them. It is what `CLUSTER=existing make up` runs.
func (c *cluster) asExisting(ctx context.Context) error {
	if existing() {
		return notRun{"all of this run used CLUSTER=existing"}
	}
	registry := c.variable("COMPONENT_REGISTRY") + "/team"
	env := []string{"CLUSTER=existing", "KUBECONFIG=" + c.variable("KUBECONFIG"), "IMAGE_REGISTRY=" + registry}
	if err := runEnv(env, "go", "run", "./test/runner", "up")(ctx); err != nil {
		return err
	}
	// Where the example's hosts were there before, they are being replaced.
	if _, err := c.kubectl(ctx, "rollout", "status", "deployment/hosts", "--timeout=90s"); err != nil {
		return err
	}
	return c.onlyImagesOf(ctx, registry)
}

// onlyImagesOf fails when a pod of Trellis, or of the example's hosts, still runs an image from elsewhere.
func (c *cluster) onlyImagesOf(ctx context.Context, registry string) error {
	var errs []error
	for _, selector := range []string{"app.kubernetes.io/component=operator", "app.kubernetes.io/component=nats", "app.kubernetes.io/instance=hosts"} {
		out, err := c.kubectl(ctx, "get", "pods", "-A", "-l", selector, "--field-selector=status.phase=Running", "-o",
			`go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{range .spec.containers}}{{.image}}{{"\n"}}{{end}}{{end}}{{end}}`)
		if err != nil {
			return err
		}
		images := strings.Fields(out)
		if len(images) == 0 {
			errs = append(errs, fmt.Errorf("no pod of %s runs", selector))
		}
		for _, image := range images {
			if !strings.HasPrefix(image, registry+"/") {
				errs = append(errs, fmt.Errorf("a pod of %s runs %s, which is not from %s", selector, image, registry))
			}
		}
	}
	return errors.Join(errs...)
}
