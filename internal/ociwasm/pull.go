package ociwasm

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of components.
const (
	mediaWasm       = types.MediaType("application/wasm")
	mediaWasmModule = types.MediaType("application/vnd.module.wasm.content.layer.v1+wasm")
	mediaWasmConfig = types.MediaType("application/vnd.wasm.config.v0+json")
)

// Pull fetches a component and checks it against the digests of its manifest.
func Pull(ctx context.Context, ref string, o Options) ([]byte, error) {
	place, err := o.resolve(ref)
	if err != nil {
		return nil, err
	}
	image, err := remote.Image(place, o.remote(ctx, place.Context().RegistryStr())...)
	if err != nil {
		return nil, fmt.Errorf("fetch the manifest of %s: %w", place, err)
	}
	layer, err := o.onlyLayer(image)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	blob, err := layer.Compressed() // the raw bytes, checked against the digest while they are read
	if err != nil {
		return nil, fmt.Errorf("fetch the content of %s: %w", place, err)
	}
	defer blob.Close()
	code, err := io.ReadAll(blob)
	if err != nil {
		return nil, fmt.Errorf("fetch the content of %s: %w", place, err)
	}
	return code, nil
}

func (o Options) remote(ctx context.Context, registry string) []remote.Option {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(o.authenticator(registry))}
	if o.Transport != nil {
		options = append(options, remote.WithTransport(o.Transport))
	}
	return options
}

func (o Options) onlyLayer(image v1.Image) (v1.Layer, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	if n := len(manifest.Layers); n != 1 {
		return nil, fmt.Errorf("%w: it has %d layers instead of one", ErrNotWasm, n)
	}
	described := manifest.Layers[0]
	switch described.MediaType {
	case mediaWasm, mediaWasmModule, types.OCIUncompressedLayer:
	default:
		return nil, fmt.Errorf("%w: its layer is of type %s", ErrNotWasm, described.MediaType)
	}
	if o.MaxBytes > 0 && described.Size > o.MaxBytes {
		return nil, fmt.Errorf("%w: it has %d bytes of %d", ErrTooLarge, described.Size, o.MaxBytes)
	}
	return image.LayerByDigest(described.Digest)
}
