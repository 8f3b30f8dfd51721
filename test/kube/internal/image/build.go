package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// basics are in every image: names for the user, and how names are resolved
// by programs that use the C library.
var basics = map[string]string{
	"/etc/passwd":        "root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/home/nonroot:/nonexistent\n",
	"/etc/group":         "root:x:0:\nnonroot:x:65532:\n",
	"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

const certificates = "/etc/ssl/certs/ca-certificates.crt"

// Build makes the image. Equal input gives an equal digest: no time and no
// name of this machine is in it.
func Build(spec Spec) (v1.Image, error) {
	files, err := contents(spec)
	if err != nil {
		return nil, fmt.Errorf("the image %s cannot be built: %w", spec.Ref, err)
	}
	layer, err := archive(files)
	if err != nil {
		return nil, err
	}
	// Not compressed: images go no further than this machine.
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.OCIUncompressedLayer))
	if err != nil {
		return nil, err
	}
	img, err = mutate.ConfigFile(img, configFile(img, spec))
	if err != nil {
		return nil, err
	}
	return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON), nil
}

func configFile(img v1.Image, spec Spec) *v1.ConfigFile {
	config, err := img.ConfigFile()
	if err != nil { // of an image in memory: cannot fail
		panic(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		User: user, WorkingDir: "/", Entrypoint: spec.Entrypoint, Cmd: spec.Cmd,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/nonroot"},
	}
	return config
}

type file struct {
	content []byte
	mode    fs.FileMode
	// link is the file that this is another name of.
	link string
}

func contents(spec Spec) (map[string]file, error) {
	files := map[string]file{}
	for _, text := range []map[string]string{basics, spec.Files} {
		for name, content := range text {
			files[name] = file{content: []byte(content), mode: 0o644}
		}
	}
	if roots, err := os.ReadFile(certificates); err == nil {
		files[certificates] = file{content: roots, mode: 0o644}
	}
	for name, source := range spec.Programs {
		content, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		files[name] = file{content: content, mode: 0o755}
		libraries, err := libraries(source)
		if err != nil {
			return nil, err
		}
		for _, library := range libraries {
			content, err := os.ReadFile(library)
			if err != nil {
				return nil, err
			}
			files[library] = file{content: content, mode: 0o755}
		}
	}
	for name, target := range spec.Links {
		files[name] = file{mode: 0o777, link: target}
	}
	return files, nil
}

// archive is a tar of the files, their folders, and folders that programs
// expect, in a fixed order.
func archive(files map[string]file) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, folder := range folders(files) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder[1:] + "/", Mode: 0o755}
		switch folder {
		case "/tmp":
			header.Mode = 0o1777
		case "/home/nonroot":
			header.Uid, header.Gid = 65532, 65532
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	if err := writeFiles(writer, files); err != nil {
		return nil, err
	}
	return buffer.Bytes(), writer.Close()
}

func writeFiles(writer *tar.Writer, files map[string]file) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entry := files[name]
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: int64(entry.mode), Size: int64(len(entry.content)),
		}
		if entry.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, entry.link
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(entry.content); err != nil {
			return err
		}
	}
	return nil
}

func folders(files map[string]file) []string {
	found := map[string]bool{"/tmp": true, "/home": true, "/home/nonroot": true, "/etc": true}
	for name := range files {
		for parent := path.Dir(name); parent != "/"; parent = path.Dir(parent) {
			found[parent] = true
		}
	}
	list := slices.Collect(maps.Keys(found))
	slices.SortFunc(list, strings.Compare) // a parent sorts before its children
	return list
}
