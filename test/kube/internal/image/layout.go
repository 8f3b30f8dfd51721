package image

import (
	"archive/tar"
	"encoding/json"
	"io"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nameAnnotation is where containerd finds an image's name in a layout.
const nameAnnotation = "io.containerd.image.name"

// writeLayout writes the images as one tar of an OCI image layout. From the
// older docker format containerd would make a manifest of its own, and an
// imported image would have another digest than the same one in a registry.
func writeLayout(out io.Writer, images map[string]v1.Image) error {
	blobs := map[v1.Hash][]byte{}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, ref := range slices.Sorted(maps.Keys(images)) {
		descriptor, err := collect(images[ref], blobs)
		if err != nil {
			return err
		}
		descriptor.Annotations = map[string]string{nameAnnotation: ref}
		index.Manifests = append(index.Manifests, descriptor)
	}
	list, err := json.Marshal(index)
	if err != nil {
		return err
	}
	files := map[string]file{
		"oci-layout": {content: []byte(`{"imageLayoutVersion":"1.0.0"}`), mode: 0o644},
		"index.json": {content: list, mode: 0o644},
	}
	for hash, content := range blobs {
		files["blobs/"+hash.Algorithm+"/"+hash.Hex] = file{content: content, mode: 0o644}
	}
	writer := tar.NewWriter(out)
	if err := writeFiles(writer, files); err != nil {
		return err
	}
	return writer.Close()
}

// collect adds an image's parts to the blobs and returns its descriptor.
func collect(img v1.Image, blobs map[v1.Hash][]byte) (v1.Descriptor, error) {
	manifest, err := img.RawManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	configHash, err := img.ConfigName()
	if err != nil {
		return v1.Descriptor{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	blobs[digest], blobs[configHash] = manifest, config
	layers, err := img.Layers()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, layer := range layers {
		if err := collectLayer(layer, blobs); err != nil {
			return v1.Descriptor{}, err
		}
	}
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: int64(len(manifest))}, nil
}

func collectLayer(layer v1.Layer, blobs map[v1.Hash][]byte) error {
	hash, err := layer.Digest()
	if err != nil {
		return err
	}
	reader, err := layer.Compressed() // as the manifest describes it
	if err != nil {
		return err
	}
	defer reader.Close()
	blobs[hash], err = io.ReadAll(reader)
	return err
}
