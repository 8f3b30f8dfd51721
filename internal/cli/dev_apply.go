package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

const devFieldManager = "trellis-dev"

// applied names an application that --apply put there.
type applied struct{ namespace, name string }

// applyFile applies every application of a file by server-side apply, as `kubectl apply --server-side` would. Documents
// of other kinds belong to a cluster; their names are returned so that the user is told.
func applyFile(ctx context.Context, config *rest.Config, path string) (apps []applied, others []string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--apply: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("make a client: %w", err)
	}
	documents, err := decodeDocuments(content)
	if err != nil {
		return nil, nil, fmt.Errorf("--apply %s: %w", path, err)
	}
	for _, object := range documents {
		if object.GetAPIVersion() != oam.SchemeGroupVersion.String() || object.GetKind() != "Application" {
			others = append(others, object.GetKind()+" "+object.GetName())
			continue
		}
		if object.GetNamespace() == "" {
			object.SetNamespace(metav1.NamespaceDefault)
		}
		_, err := client.Resource(oam.SchemeGroupVersion.WithResource("applications")).Namespace(object.GetNamespace()).
			Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: devFieldManager, Force: true})
		if err != nil {
			return apps, others, fmt.Errorf("apply application %s of %s: %w", object.GetName(), path, err)
		}
		apps = append(apps, applied{object.GetNamespace(), object.GetName()})
	}
	if len(apps) == 0 {
		return nil, others, fmt.Errorf("--apply %s: there is no %s Application in it", path, oam.SchemeGroupVersion)
	}
	return apps, others, nil
}

// decodeDocuments reads all YAML or JSON documents of a file; empty ones are passed over.
func decodeDocuments(content []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for number := 1; ; number++ {
		fields := map[string]any{}
		err := decoder.Decode(&fields)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		if len(fields) > 0 {
			objects = append(objects, &unstructured.Unstructured{Object: fields})
		}
	}
}
