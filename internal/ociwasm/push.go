package ociwasm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var wasmMagic = []byte("\x00asm")

// Push stores the component in a file under a reference and returns the digest of its manifest. The same file gives
// the same digest; pushing it again changes nothing.
func Push(ctx context.Context, ref, path string, o Options) (string, error) {
	code, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the component: %w", err)
	}
	return PushBytes(ctx, ref, code, o)
}

// PushBytes is Push for a component in memory.
func PushBytes(ctx context.Context, ref string, code []byte, o Options) (string, error) {
	if !bytes.HasPrefix(code, wasmMagic) {
		return "", ErrNotWasm
	}
	o.AllowLatest = true
	place, err := o.resolve(ref)
	if err != nil {
		return "", err
	}
	image, digest, err := artifact(code)
	if err != nil {
		return "", err
	}
	as := o.remote(ctx, place.Context())
	if err := remote.Write(place, image, as.options...); err != nil {
		return "", fmt.Errorf("push %s: %w", place, as.hush(err))
	}
	return digest.String(), nil
}

// wasmConfig is the configuration of a component artifact as the ecosystem writes it.
type wasmConfig struct {
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	LayerDigests []v1.Hash `json:"layerDigests"`
}

func artifact(code []byte) (v1.Image, v1.Hash, error) {
	layer := static.NewLayer(code, mediaWasm)
	layerDigest, _ := layer.Digest() // of bytes in memory: cannot fail
	config, err := json.Marshal(wasmConfig{Architecture: "wasm", OS: "wasip2", LayerDigests: []v1.Hash{layerDigest}})
	if err != nil {
		return nil, v1.Hash{}, fmt.Errorf("encode the configuration: %w", err)
	}
	configDigest, configSize, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, v1.Hash{}, fmt.Errorf("hash the configuration: %w", err)
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: mediaWasmConfig, Size: configSize, Digest: configDigest},
		Layers:        []v1.Descriptor{{MediaType: mediaWasm, Size: int64(len(code)), Digest: layerDigest}},
	})
	if err != nil {
		return nil, v1.Hash{}, fmt.Errorf("encode the manifest: %w", err)
	}
	image, err := partial.CompressedToImage(&rawImage{manifest: manifest, config: config, layer: layer, digest: layerDigest})
	if err != nil {
		return nil, v1.Hash{}, fmt.Errorf("build the artifact: %w", err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(manifest))
	return image, digest, err
}

// rawImage is an image whose manifest and configuration are written byte for byte.
type rawImage struct {
	manifest, config []byte
	layer            v1.Layer
	digest           v1.Hash
}

var _ partial.CompressedImageCore = (*rawImage)(nil)

func (i *rawImage) RawConfigFile() ([]byte, error)      { return i.config, nil }
func (i *rawImage) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i *rawImage) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (i *rawImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if h == i.digest {
		return i.layer, nil
	}
	configDigest, _, _ := v1.SHA256(bytes.NewReader(i.config))
	if h == configDigest {
		return static.NewLayer(i.config, mediaWasmConfig), nil
	}
	return nil, fmt.Errorf("the artifact has no layer %s", h)
}
