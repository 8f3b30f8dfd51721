//go:build linux

package local

import (
	"context"
	"embed"
	"strconv"
	"strings"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/kubeapi"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

//go:embed addons/*.yaml
var addonFiles embed.FS

// addons are the objects of the cluster itself.
func addons() ([]byte, error) {
	entries, err := addonFiles.ReadDir("addons")
	if err != nil {
		return nil, err
	}
	corefile, err := addonFiles.ReadFile("addons/coredns.yaml")
	if err != nil {
		return nil, err
	}
	values := strings.NewReplacer(
		"{{domain}}", network.ClusterDomain, "{{dnsIP}}", network.DNSIP, "{{coredns}}", image.CoreDNS,
		"{{corefile}}", digest(corefile), "{{registry}}", image.Registry, "{{registryIP}}", network.RegistryIP,
		"{{registryPort}}", strconv.Itoa(network.RegistryPort), "{{node}}", network.NodeName(1),
	)
	var all strings.Builder
	for _, entry := range entries {
		content, err := addonFiles.ReadFile("addons/" + entry.Name())
		if err != nil {
			return nil, err
		}
		all.WriteString("---\n" + values.Replace(string(content)))
	}
	return []byte(all.String()), nil
}

func (c *Cluster) applyAddons(ctx context.Context) error {
	objects, err := addons()
	if err != nil {
		return err
	}
	kubectl, err := c.Tool(ctx, tools.Kubernetes, "kubectl")
	if err != nil {
		return err
	}
	return kubeapi.Apply(ctx, kubectl, c.Kubeconfig(), objects)
}
