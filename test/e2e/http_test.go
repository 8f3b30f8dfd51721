//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// get asks an address over HTTP and returns status and body.
func get(ctx context.Context, client *http.Client, url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// newClient makes a client that goes to the address itself, whatever proxy the machine has. One for each question, so
// that an answer never comes by way of a connection to a host that is not an endpoint any more.
func newClient(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
}

// answers says whether an address answers 200 with a body.
func answers(t *testing.T, url, want string) error {
	t.Helper()
	client := newClient(1)
	defer client.CloseIdleConnections()
	status, body, err := get(t.Context(), client, url)
	if err != nil {
		return err
	}
	if status != http.StatusOK || strings.TrimSpace(body) != want {
		return fmt.Errorf("GET %s = %d %q; want 200 %q", url, status, body, want)
	}
	return nil
}
