package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// gatewayHost is the name in examples/gateway/application.yaml.
	gatewayHost  = "hello.example.test"
	traefikImage = "ghcr.io/trellis-operator/traefik:peer"
)

// gateway is what `make up GATEWAY=1` adds: Traefik in the cluster as the Gateway in front of an application.
func gateway(c *cluster) []stage {
	if os.Getenv("GATEWAY") == "" {
		return nil
	}
	folder := ""
	return []stage{
		{"traefik: build", peerTests["traefik"].build, func(ctx context.Context) (err error) {
			folder, err = buildPeer(ctx, chosen([]string{"traefik"})[0])
			return err
		}},
		{"gateway", 4 * time.Minute, func(ctx context.Context) error { return c.gateway(ctx, folder) }},
	}
}

// gateway installs the Gateway API and Traefik, and shows the answer of the example by its host name.
func (c *cluster) gateway(ctx context.Context, folder string) error {
	image, err := c.kube(ctx, "load-program", traefikImage, filepath.Join(folder, "traefik"))
	if err != nil {
		return err
	}
	example, err := filepath.Abs("examples/gateway")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(folder, "crds")},
		{"apply", "-f", example + "/traefik.yaml"},
		{"set", "image", "deployment/traefik", "-n", "gateways", "traefik=" + strings.TrimSpace(image)},
		{"rollout", "status", "deployment/traefik", "-n", "gateways", "--timeout=120s"},
		{"apply", "-f", example + "/application.yaml"},
		{"wait", "application/hello-gateway", "--for=condition=Routed", "--timeout=90s"},
		{"get", "gateway,httproute", "-A"},
	} {
		out, err := c.kubectl(ctx, args...)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, c.diagnosis(ctx))
		}
		fmt.Print(out)
	}
	return c.askGateway(ctx)
}

func (c *cluster) askGateway(ctx context.Context) error {
	address, err := c.kubectl(ctx, "get", "service", "traefik", "-n", "gateways", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	url := "http://" + address + "/"
	body, err := until(ctx, url+" of "+gatewayHost, func() (string, error) { return fetchFrom(ctx, url, gatewayHost) })
	if err != nil {
		return fmt.Errorf("%w\n%s", err, c.diagnosis(ctx))
	}
	if body = strings.TrimSpace(body); body != answer {
		return fmt.Errorf("the Gateway at %s answers %q to %s; want %q", url, body, gatewayHost, answer)
	}
	fmt.Printf("\n$ curl -H 'Host: %s' %s\n%s\n\n", gatewayHost, url, body)
	return nil
}
