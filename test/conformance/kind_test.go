//go:build conformance && linux

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/test/twin"
)

// kind is one of the two that are compared.
type kind struct {
	// name is "ours" or "CRD".
	name  string
	group string
}

var (
	ours    = kind{"ours", oam.GroupName}
	theirs  = kind{"CRD", twin.Group}
	version = oam.Version
)

func (k kind) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.group, Version: version, Resource: twin.Resource}
}

// client is the administrator's way to kube-apiserver.
type client struct {
	config *rest.Config
	http   *http.Client
	kube   kubernetes.Interface
	any    dynamic.Interface
}

func newClient(t *testing.T, config *rest.Config) *client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Host = strings.TrimSuffix(config.Host, "/")
	c := &client{config: config}
	var err error
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		t.Fatal(err)
	}
	if c.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if c.any, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is what a server said.
type answer struct {
	code   int
	header http.Header
	body   []byte
	// object is the body where it is JSON.
	object map[string]any
}

// answerPatience is how long a server may take; some answers take three seconds by design.
const answerPatience = 30 * time.Second

// send asks; a header "Name: value" overrides, and a body that is not text is sent as JSON.
func (c *client) send(ctx context.Context, method, path string, body any, headers ...string) (*answer, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.config.Host+path, reader)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	a := &answer{code: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		return nil, err
	}
	_ = json.Unmarshal(a.body, &a.object) // what is no JSON is looked at as text
	return a, nil
}

// String is what a client acts on: the status, and what came, or why not.
func (a *answer) String() string {
	switch {
	case a.object["kind"] == "Status" && a.object["status"] == "Failure":
		return fmt.Sprintf("%d %v: %v%s", a.code, a.object["reason"], a.object["message"], a.causes())
	case a.object["kind"] != nil:
		return fmt.Sprintf("%d %v", a.code, a.object["kind"])
	case len(a.body) == 0:
		return fmt.Sprint(a.code)
	}
	return fmt.Sprintf("%d %s", a.code, strings.TrimSpace(string(a.body)))
}

// brief is String without the words, which may show the object sent.
func (a *answer) brief() string { return strings.SplitN(a.String(), ":", 2)[0] }

// causes are the fields that a refusal names.
func (a *answer) causes() string {
	details, _ := a.object["details"].(map[string]any)
	causes, _ := details["causes"].([]any)
	var out []string
	for _, cause := range causes {
		c := cause.(map[string]any)
		// A definition checks metadata twice and says everything twice.
		if said := fmt.Sprintf("%v=%v", c["field"], c["reason"]); !slices.Contains(out, said) {
			out = append(out, said)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " [" + strings.Join(out, ", ") + "]"
}

// at is the value at a path of members.
func at(object map[string]any, path ...string) any {
	var value any = object
	for _, step := range path {
		members, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = members[step]
	}
	return value
}

// text is the value at a path, as text.
func text(object map[string]any, path ...string) string {
	value := at(object, path...)
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// version of an object, as clients send it back.
func (a *answer) version() string { return text(a.object, "metadata", "resourceVersion") }

// makeNamespace makes one that goes with the plane.
func (c *client) makeNamespace(t *testing.T, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.kube.CoreV1().Namespaces().Create(context.WithoutCancel(t.Context()), namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// application is a small one; change changes it before it is returned.
func application(k kind, name string, change ...func(map[string]any)) map[string]any {
	object := map[string]any{
		"apiVersion": k.group + "/" + version, "kind": "Application", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"components": []any{component("web", "ghcr.io/acme/web:1")}},
	}
	for _, c := range change {
		c(object)
	}
	return object
}

func component(name, image string) map[string]any {
	return map[string]any{
		"name": name, "type": "component", "properties": map[string]any{"image": image},
		"traits": []any{map[string]any{"type": "spreadscaler", "properties": map[string]any{"instances": 1}}},
	}
}

// set is a change of an object: the value at a path of members.
func set(value any, path ...string) func(map[string]any) {
	return func(object map[string]any) {
		for _, step := range path[:len(path)-1] {
			next, ok := object[step].(map[string]any)
			if !ok {
				next = map[string]any{}
				object[step] = next
			}
			object = next
		}
		object[path[len(path)-1]] = value
	}
}

// image is a change of the image of the first component.
func image(name string) func(map[string]any) {
	return func(object map[string]any) {
		components := at(object, "spec", "components").([]any)
		set(name, "properties", "image")(components[0].(map[string]any))
	}
}

// changed is a copy of an object with changes.
func changed(t *testing.T, object map[string]any, change ...func(map[string]any)) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var copied map[string]any
	if err := json.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(copied)
	}
	return copied
}
