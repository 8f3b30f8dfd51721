//go:build linux

package local

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"text/tabwriter"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/process"
)

// ImageRef is the image's own name: images are put into the nodes.
func (c *Cluster) ImageRef(ref string) string { return ref }

// Status writes what runs, and where it logs.
func (c *Cluster) Status(ctx context.Context, out io.Writer) error {
	if !c.Dir.Exists() {
		_, err := fmt.Fprintln(out, "There is no cluster on this machine; \"up\" makes one.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PART\tSTATE\tPID\tLOG")
	for _, name := range c.parts() {
		record, running, err := process.Find(c.Dir, name)
		if err != nil {
			return err
		}
		state := "not running"
		if running {
			state = "running"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", name, state, record.PID, c.log(name))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return c.apiStatus(ctx, out)
}

func (c *Cluster) parts() []string {
	parts := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	for n := 1; n <= c.Nodes; n++ {
		parts = append(parts, network.NodeName(n))
	}
	return parts
}

func (c *Cluster) apiStatus(ctx context.Context, out io.Writer) error {
	api, err := c.api()
	if err != nil {
		return err
	}
	answer := "ready"
	if _, err := api.Get(ctx, "/readyz"); err != nil {
		answer = err.Error()
	}
	fmt.Fprintf(out, "API %s: %s\n", c.server(), answer)
	for n := 1; n <= c.Nodes; n++ {
		answer := "ready"
		if err := api.Condition(ctx, "/api/v1/nodes/"+network.NodeName(n), "Ready"); err != nil {
			answer = err.Error()
		}
		fmt.Fprintf(out, "%s: %s; logs of containerd, kubelet and kube-proxy in %s\n", network.NodeName(n), answer, c.Dir.Path("nodes", network.NodeName(n), "log"))
	}
	fmt.Fprintf(out, "export KUBECONFIG=%s\n", c.Kubeconfig())
	return nil
}

// NodeCommand is the beginning of a command line that runs a program inside
// the n-th node.
func (c *Cluster) NodeCommand(n int) ([]string, error) {
	record, running, err := process.Find(c.Dir, network.NodeName(n))
	if err != nil {
		return nil, err
	}
	nsenter, lookErr := exec.LookPath("nsenter")
	if !running || lookErr != nil {
		return nil, fmt.Errorf("%s does not run, or the program nsenter is not installed; see \"status\"", network.NodeName(n))
	}
	return []string{nsenter, "--target", strconv.Itoa(record.PID), "--mount", "--uts", "--ipc", "--net", "--pid", "--"}, nil
}
