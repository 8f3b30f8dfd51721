package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// hello applies the example, and shows what a user would look at.
func (c *cluster) hello(ctx context.Context) error {
	example, err := filepath.Abs("examples/hello")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"apply", "-f", example + "/hostconfig.yaml", "-f", example + "/application.yaml"},
		{"wait", "application/hello", "--for=condition=Ready", "--timeout=90s"},
		{"wait", "application/hello", "--for=condition=Exposed", "--timeout=60s"},
		{"wait", "whc/hosts", "--for=condition=Ready", "--timeout=60s"},
		{"get", "whc,pods,application,service,endpointslice"},
	} {
		out, err := c.kubectl(ctx, args...)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, c.diagnosis(ctx))
		}
		fmt.Print(out)
	}
	if err := c.ask(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, c.diagnosis(ctx))
	}
	fmt.Printf("export KUBECONFIG=%s\n", c.variable("KUBECONFIG"))
	kubectl := "bin/kubectl"
	if existing() {
		kubectl = "kubectl"
	}
	fmt.Println("\nWorth trying next:")
	for _, command := range worthTrying {
		fmt.Printf("  %s %s\n", kubectl, command)
	}
	return nil
}

// worthTrying are the next steps of a user.
var worthTrying = []string{
	"get application hello -o yaml",
	"explain application.spec.components",
	`patch whc hosts --type=merge -p '{"spec":{"hostReplicas":3}}'`,
	"get endpointslice -l kubernetes.io/service-name=hello --watch",
	"delete application hello",
}

// ask shows the answer of hello world: by the Service's address, or by way of the API server where that address is one
// of another network.
func (c *cluster) ask(ctx context.Context) error {
	command, body := "", ""
	if existing() {
		namespace, err := c.kubectl(ctx, "get", "service", "hello", "-o", "jsonpath={.metadata.namespace}")
		if err != nil {
			return err
		}
		path := "/api/v1/namespaces/" + namespace + "/services/hello:http/proxy/"
		command = "kubectl get --raw " + path
		if body, err = until(ctx, path, func() (string, error) { return c.kubectl(ctx, "get", "--raw", path) }); err != nil {
			return err
		}
	} else {
		address, err := c.kubectl(ctx, "get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}")
		if err != nil {
			return err
		}
		url := "http://" + address + ":8080/"
		command = "curl " + url
		if body, err = until(ctx, url, func() (string, error) { return fetch(ctx, url) }); err != nil {
			return err
		}
	}
	if body = strings.TrimSpace(body); body != answer {
		return fmt.Errorf("`%s` says %q; want %q", command, body, answer)
	}
	fmt.Printf("\n$ %s\n%s\n\n", command, body)
	return nil
}

// answer is what hello world says.
const answer = "Hello from Wasm!"

// diagnosis is what helps when something did not become ready.
func (c *cluster) diagnosis(ctx context.Context) string {
	var text strings.Builder
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "whc,applications", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"logs", "-n", system, "-l", "app.kubernetes.io/component=operator", "--tail=15", "--prefix"},
	} {
		out, err := c.kubectl(ctx, args...)
		if err != nil {
			out += err.Error()
		}
		fmt.Fprintf(&text, "--- kubectl %s\n%s\n", strings.Join(args, " "), lastLines(out, 25))
	}
	return text.String()
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
