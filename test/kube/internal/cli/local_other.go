//go:build !linux

package cli

import (
	"context"
	"errors"

	"github.com/trellis-operator/trellis/test/kube/internal/progress"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

var errNotLinux = errors.New("a cluster on this machine needs Linux; use a cluster that you have with CLUSTER=existing, KUBECONFIG= and IMAGE_REGISTRY=")

func newLocal(*tools.Cache, *progress.Printer, string) (cluster, error) { return nil, errNotLinux }

func nodeExec(context.Context, *env, []string) error { return errNotLinux }
