//go:build linux

package local

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/process"
)

func (c *Cluster) apiReady(ctx context.Context) error {
	api, err := c.api()
	if err != nil {
		return err
	}
	return c.await(ctx, 2*time.Minute, "the API server", "kube-apiserver", func(ctx context.Context) error {
		_, err := api.Get(ctx, "/readyz")
		return err
	})
}

func (c *Cluster) containerdReady(ctx context.Context, n int) error {
	name := network.NodeName(n)
	socket := filepath.Join(c.nodeFolder(name), "containerd.sock")
	return c.await(ctx, time.Minute, "containerd of "+name, name, func(context.Context) error {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			connection.Close()
		}
		return err
	})
}

func (c *Cluster) nodesReady(ctx context.Context) error {
	for n := 1; n <= c.Nodes; n++ {
		if err := c.nodeReady(ctx, network.NodeName(n)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) nodeReady(ctx context.Context, name string) error {
	api, err := c.api()
	if err != nil {
		return err
	}
	return c.await(ctx, 2*time.Minute, name, name, func(ctx context.Context) error {
		record, _, err := process.Find(c.Dir, name)
		if err != nil {
			return err
		}
		started, err := record.StartedAt()
		if err != nil {
			return err
		}
		if err := api.Renewed(ctx, name, started); err != nil {
			return err
		}
		return api.Condition(ctx, "/api/v1/nodes/"+name, "Ready")
	})
}

// addonsReady asks the services themselves: what the API says about pods may
// be from before a crash.
func (c *Cluster) addonsReady(ctx context.Context) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	err := c.await(ctx, 2*time.Minute, "the registry", "kube-controller-manager", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Registry()+"/v2/", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the registry answers %s", response.Status)
		}
		return nil
	})
	if err != nil {
		return err
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network_, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network_, network.DNSIP+":53")
	}}
	return c.await(ctx, 2*time.Minute, "CoreDNS", "kube-controller-manager", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+network.ClusterDomain+".")
		return err
	})
}
