package cli

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"

	"github.com/trellis-operator/trellis/test/kube/internal/local"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/progress"
	"github.com/trellis-operator/trellis/test/kube/internal/state"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

func newLocal(cache *tools.Cache, report *progress.Printer, checkout string) (cluster, error) {
	nodes, err := nodeCount()
	if err != nil {
		return nil, err
	}
	if err := avoidProxy(); err != nil {
		return nil, err
	}
	return local.New(state.Dir(state.Root), cache, report, nodes, filepath.Join(checkout, "bin"))
}

// avoidProxy keeps this program, kubectl and Helm from asking a proxy for the
// cluster's addresses.
func avoidProxy() error {
	own := strings.Join([]string{network.NodesCIDR, network.PodsCIDR, network.ServicesCIDR}, ",")
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if err := os.Setenv(name, strings.TrimPrefix(os.Getenv(name)+","+own, ",")); err != nil {
			return err
		}
	}
	return nil
}

func nodeExec(ctx context.Context, e *env, args []string) error {
	flags := flag.NewFlagSet("node-exec", flag.ContinueOnError)
	node := flags.Int("node", 1, "number of the node")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, isLocal := e.cluster.(*local.Cluster)
	if !isLocal || flags.NArg() == 0 {
		return errors.New("node-exec runs a program, which has to be named, in a node of this machine's own cluster")
	}
	enter, err := c.NodeCommand(*node)
	if err != nil {
		return err
	}
	return pass(ctx, enter[0], append(enter[1:], flags.Args()...), nil)
}
