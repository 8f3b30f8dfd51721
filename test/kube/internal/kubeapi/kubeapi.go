// Package kubeapi is the little of the Kubernetes API that bringing a cluster
// up needs: is it ready, is the node ready, apply these objects.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Client talks to one API server with a client certificate.
type Client struct {
	base string
	http *http.Client
}

// New returns a client. The files are PEM.
func New(base, caFile, certFile, keyFile string) (*Client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	return &Client{base: base, http: &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// Get returns the body of a 200 answer.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	return body, err
}

// conditions is what nodes and Deployments have in common.
type conditions struct {
	Status struct {
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"conditions"`
	} `json:"status"`
}

// Condition returns nil when the object's condition is True.
func (c *Client) Condition(ctx context.Context, path, condition string) error {
	body, err := c.Get(ctx, path)
	if err != nil {
		return err
	}
	var object conditions
	if err := json.Unmarshal(body, &object); err != nil {
		return err
	}
	for _, found := range object.Status.Conditions {
		if found.Type == condition && found.Status == "True" {
			return nil
		}
		if found.Type == condition {
			return fmt.Errorf("condition %s is %s: %s", condition, found.Status, found.Message)
		}
	}
	return fmt.Errorf("there is no condition %s yet", condition)
}

// Renewed returns nil when the node's kubelet has shown a sign of life since
// the given time. The node's own condition stays as it was for 40 seconds
// after the kubelet's death.
func (c *Client) Renewed(ctx context.Context, node string, since time.Time) error {
	body, err := c.Get(ctx, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"+node)
	if err != nil {
		return err
	}
	var lease struct {
		Spec struct {
			RenewTime time.Time `json:"renewTime"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(body, &lease); err != nil {
		return err
	}
	if lease.Spec.RenewTime.Before(since) {
		return fmt.Errorf("the kubelet has not been heard of since %s", since.Format(time.TimeOnly))
	}
	return nil
}

// Apply gives the objects to kubectl, server side: what is there already and
// equal is left alone.
func Apply(ctx context.Context, kubectl, kubeconfig string, objects []byte) error {
	command := exec.CommandContext(ctx, kubectl, "--kubeconfig", kubeconfig, "apply", "--server-side", "--force-conflicts", "--field-manager=trellis-kube", "-f", "-")
	command.Stdin = bytes.NewReader(objects)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply failed: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}
