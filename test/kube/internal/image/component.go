package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of WebAssembly components in registries.
const (
	wasmConfig = types.MediaType("application/vnd.wasm.config.v0+json")
	wasmLayer  = types.MediaType("application/wasm")
)

// Component is the artifact of one WebAssembly component: an OCI manifest with
// a WebAssembly configuration and exactly one layer, as wasmCloud hosts demand.
type Component struct {
	config, layer v1.Layer
	manifest      rawManifest
}

// rawManifest is a manifest as it is sent.
type rawManifest []byte

// RawManifest returns the bytes.
func (m rawManifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType is the OCI image manifest's.
func (rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// NewComponent reads a component from a file.
func NewComponent(path string) (Component, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Component{}, err
	}
	if !bytes.HasPrefix(content, []byte("\x00asm")) {
		return Component{}, fmt.Errorf("%s is not a WebAssembly binary", path)
	}
	layer := static.NewLayer(content, wasmLayer)
	layerOf, err := describe(layer)
	if err != nil {
		return Component{}, err
	}
	configuration, err := json.Marshal(map[string]any{
		// A fixed time, so that equal components are equal artifacts.
		"created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
		"layerDigests": []string{layerOf.Digest.String()},
	})
	if err != nil {
		return Component{}, err
	}
	config := static.NewLayer(configuration, wasmConfig)
	configOf, err := describe(config)
	if err != nil {
		return Component{}, err
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: configOf, Layers: []v1.Descriptor{layerOf},
	})
	return Component{config: config, layer: layer, manifest: manifest}, err
}

// PushComponent puts the component into a registry.
func PushComponent(ctx context.Context, ref string, component Component) error {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	options := pushOptions(ctx)
	for _, blob := range []v1.Layer{component.config, component.layer} {
		if err := remote.WriteLayer(parsed.Context(), blob, options...); err != nil {
			return pushError(ref, err)
		}
	}
	if err := remote.Put(parsed, component.manifest, options...); err != nil {
		return pushError(ref, err)
	}
	return nil
}

func describe(layer v1.Layer) (v1.Descriptor, error) {
	digest, err := layer.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	size, err := layer.Size()
	if err != nil {
		return v1.Descriptor{}, err
	}
	kind, err := layer.MediaType()
	return v1.Descriptor{MediaType: kind, Size: size, Digest: digest}, err
}
