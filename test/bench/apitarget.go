package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// target is one way to applications: the peer, ours through the aggregator, or ours directly.
type target struct {
	name, group, base string
	template          string
	client            *http.Client
	config            *rest.Config
}

func newTarget(name, group string, config *rest.Config) (*target, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &target{
		name: name, group: group, config: config, client: client, template: template(group),
		base: strings.TrimSuffix(config.Host, "/") + "/apis/" + group + "/" + apiVersion,
	}, nil
}

// fresh is the same way over connections of its own.
func (t *target) fresh() (*target, error) {
	config := rest.CopyConfig(t.config)
	// client-go shares connections between equal configurations; a dialer of its own makes it another one.
	config.Dial = dialer.DialContext
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	out := *t
	out.client = client
	return &out, nil
}

func (t *target) path(o object) string {
	return t.base + "/namespaces/" + o.namespace + "/applications/" + o.name
}

func (t *target) collection(namespace string) string {
	if namespace == "" {
		return t.base + "/applications"
	}
	return t.base + "/namespaces/" + namespace + "/applications"
}

// send sends a request and returns the whole answer, which must be a success.
func (t *target) send(ctx context.Context, method, url, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json")
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s answers %s: %.500s", method, url, response.Status, answer)
	}
	return answer, nil
}

// write sends a write and keeps the new resourceVersion in the object.
func (t *target) write(ctx context.Context, method, url, body string, o *object) error {
	answer, err := t.send(ctx, method, url, body)
	if err != nil {
		return err
	}
	if o.resourceVersion = resourceVersionOf(answer); o.resourceVersion == "" {
		return fmt.Errorf("%s %s answers without a resourceVersion: %.500s", method, url, answer)
	}
	return nil
}

func (t *target) create(ctx context.Context, o *object) error {
	o.resourceVersion = ""
	return t.write(ctx, http.MethodPost, t.collection(o.namespace), t.body(*o), o)
}

func (t *target) update(ctx context.Context, o *object) error {
	o.beat++
	return t.write(ctx, http.MethodPut, t.path(*o), t.body(*o), o)
}

func (t *target) updateStatus(ctx context.Context, o *object) error {
	o.beat++
	return t.write(ctx, http.MethodPut, t.path(*o)+"/status", t.status(*o), o)
}

func (t *target) get(ctx context.Context, o *object) error {
	_, err := t.send(ctx, http.MethodGet, t.path(*o), "")
	return err
}

// list reads a namespace, or all if it is empty, and says how large the answer was.
func (t *target) list(ctx context.Context, namespace string) (int, error) {
	answer, err := t.send(ctx, http.MethodGet, t.collection(namespace), "")
	return bytes.Count(answer, []byte(`"creationTimestamp"`)), err
}

var versionKey = []byte(`"resourceVersion":"`)

// resourceVersionOf is the first resourceVersion in an answer: that of its metadata. Parsing all of it would measure the
// client.
func resourceVersionOf(answer []byte) string {
	_, rest, found := bytes.Cut(answer, versionKey)
	if !found {
		return ""
	}
	version, _, found := bytes.Cut(rest, []byte(`"`))
	if !found {
		return ""
	}
	return string(version)
}

// timed is how long a call takes.
func timed(call func() error) (time.Duration, error) {
	began := time.Now()
	err := call()
	return time.Since(began), err
}
