package ociwasm

import (
	"context"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of components and of the archives of providers.
const (
	mediaWasm       = types.MediaType("application/wasm")
	mediaWasmModule = types.MediaType("application/vnd.module.wasm.content.layer.v1+wasm")
	mediaWasmConfig = types.MediaType("application/vnd.wasm.config.v0+json")
	mediaProvider   = types.MediaType("application/vnd.wasmcloud.provider.archive.layer.v1+par")
)

// content is what somebody looks for in an artifact.
type content struct {
	media []types.MediaType
	// absent says that it is something else.
	absent error
}

var (
	components = content{[]types.MediaType{mediaWasm, mediaWasmModule, types.OCIUncompressedLayer}, ErrNotWasm}
	whatRuns   = content{append([]types.MediaType{mediaProvider}, components.media...), ErrNothing}
)

// Pull fetches a component and checks it against the digests of its manifest.
func Pull(ctx context.Context, ref string, o Options) ([]byte, error) {
	blob, err := o.open(ctx, ref, components)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	code, err := io.ReadAll(blob)
	if err != nil {
		return nil, fmt.Errorf("fetch the content of %s: %w", ref, err)
	}
	return code, nil
}

// Open begins to fetch a component or the archive of a provider; which of the two, only its content says. Whoever opens it
// closes it. It was checked against the digests of its manifest when its end was reached, and not before.
func Open(ctx context.Context, ref string, o Options) (io.ReadCloser, error) {
	return o.open(ctx, ref, whatRuns)
}

func (o Options) open(ctx context.Context, ref string, wanted content) (io.ReadCloser, error) {
	place, err := o.resolve(ref)
	if err != nil {
		return nil, err
	}
	as := o.remote(ctx, place.Context())
	image, err := remote.Image(place, as.options...)
	if err != nil {
		return nil, fmt.Errorf("fetch the manifest of %s: %w", place, as.hush(err))
	}
	layer, err := o.onlyLayer(image, wanted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	blob, err := layer.Compressed() // the raw bytes, checked against the digest while they are read
	if err != nil {
		return nil, fmt.Errorf("fetch the content of %s: %w", place, as.hush(err))
	}
	return blob, nil
}

func (o Options) onlyLayer(image v1.Image, wanted content) (v1.Layer, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	if n := len(manifest.Layers); n != 1 {
		return nil, fmt.Errorf("%w: it has %d layers instead of one", wanted.absent, n)
	}
	described := manifest.Layers[0]
	switch {
	case !slices.Contains(wanted.media, described.MediaType):
		return nil, fmt.Errorf("%w: its layer is of type %s", wanted.absent, described.MediaType)
	case described.Size < 0: // to the library: as many as come
		return nil, fmt.Errorf("%w: its layer has %d bytes", wanted.absent, described.Size)
	case o.MaxBytes > 0 && described.Size > o.MaxBytes:
		return nil, fmt.Errorf("%w: it has %d bytes of %d", ErrTooLarge, described.Size, o.MaxBytes)
	}
	return image.LayerByDigest(described.Digest)
}
