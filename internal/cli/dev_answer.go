package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

const (
	answerTimeout  = 2 * time.Minute
	answerInterval = 20 * time.Millisecond
	// maxAnswer is how much of an answer is shown.
	maxAnswer = 4 << 10
)

// answer is what an application said over HTTP.
type answer struct{ url, status, body string }

// awaitAnswer waits until the application is ready and, if it serves HTTP on an address of its own manifest, asks it.
// found is nil for an application that serves no HTTP.
func awaitAnswer(ctx context.Context, find func() *oam.Application) (found *answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var last *oam.Application
	err = wait.PollUntilContextCancel(ctx, answerInterval, true, func(context.Context) (bool, error) {
		last = find()
		return last != nil && meta.IsStatusConditionTrue(last.Status.Conditions, oam.ConditionReady), nil
	})
	if err != nil {
		return nil, fmt.Errorf("the application is not ready: %s", whyNotReady(last))
	}
	address := httpAddress(last)
	if address == "" {
		return nil, nil
	}
	url := "http://" + address + "/"
	var lastErr error
	err = wait.PollUntilContextCancel(ctx, answerInterval, true, func(ctx context.Context) (bool, error) {
		found, lastErr = ask(ctx, url)
		return lastErr == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the application is ready, but %s does not answer: %w", url, lastErr)
	}
	return found, nil
}

func ask(ctx context.Context, url string) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusInternalServerError {
		return nil, errors.New(response.Status + ": " + strings.TrimSpace(string(body)))
	}
	return &answer{url: url, status: response.Status, body: string(body)}, nil
}

// whyNotReady is the most telling sentence of a status.
func whyNotReady(app *oam.Application) string {
	if app == nil {
		return "it does not exist"
	}
	for _, name := range []string{oam.ConditionStalled, oam.ConditionLatticeResolved, oam.ConditionDeployed, oam.ConditionReady} {
		c := meta.FindStatusCondition(app.Status.Conditions, name)
		bad := c != nil && (c.Status == metav1.ConditionFalse) != (name == oam.ConditionStalled)
		if bad && c.Message != "" {
			return c.Reason + ": " + c.Message
		}
	}
	return "nothing has looked at it yet"
}

// httpAddress is where an application of this machine's lattice answers: the address in the source configuration of the
// first link that serves wasi:http.
func httpAddress(app *oam.Application) string {
	model := manifest.Parse(app.Name, &app.Spec)
	values := map[string]map[string]string{}
	for _, c := range model.Configs {
		values[c.Name] = c.Values
	}
	for _, link := range model.Links {
		if link.Namespace != "wasi" || link.Package != "http" {
			continue
		}
		for i := len(link.SourceConfig) - 1; i >= 0; i-- {
			if address := values[link.SourceConfig[i]]["address"]; address != "" {
				return reachable(address)
			}
		}
	}
	return ""
}

// reachable turns an address to listen on into one to connect to.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
