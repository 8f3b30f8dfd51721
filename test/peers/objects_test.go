//go:build peers && linux

package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// object makes an object from YAML.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	all, err := objects([]byte(text))
	if err != nil || len(all) != 1 {
		t.Fatalf("%d objects, %v in:\n%s", len(all), err, text)
	}
	return all[0]
}

func objects(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(u); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if len(u.Object) > 0 {
			all = append(all, u)
		}
	}
}

// define applies the definitions of a folder and waits until their kinds are served. They stay in a cluster that was
// named: others may use them.
func (l *lab) define(t *testing.T, definitions ...*unstructured.Unstructured) {
	t.Helper()
	for _, definition := range definitions {
		if err := l.client.Create(t.Context(), definition); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		eventually(t, definition.GetName()+" is served", func(ctx context.Context) string {
			if err := l.client.Get(ctx, client.ObjectKeyFromObject(definition), definition); err != nil {
				return err.Error()
			}
			if condition(definition, "Established") != "True" {
				return "not established"
			}
			return ""
		})
	}
}

// definitions are those of a folder.
func definitions(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var found []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := objects(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, u := range all {
			if u.GetKind() == "CustomResourceDefinition" {
				found = append(found, u)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no definitions in %s", folder)
	}
	return found
}

// condition is the status of a condition, or nothing.
func condition(u *unstructured.Unstructured, conditionType string) string {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == conditionType {
			return fmt.Sprint(c["status"])
		}
	}
	return ""
}

// text is a field of the object as text; a missing one is empty.
func text(u *unstructured.Unstructured, fields ...string) string {
	value, found, _ := unstructured.NestedFieldNoCopy(u.Object, fields...)
	if !found {
		return ""
	}
	return fmt.Sprint(value)
}
