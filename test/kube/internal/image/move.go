package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Import puts the images into a containerd, by its ctr program.
func Import(ctx context.Context, ctr, socket string, images map[string]v1.Image) error {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeLayout(writer, images)) }()
	command := exec.CommandContext(ctx, ctr, "--address", socket, "--namespace", "k8s.io", "images", "import", "-")
	command.Stdin = reader
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	reader.Close()
	if err != nil {
		return fmt.Errorf("images cannot be imported: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// Push puts an image into a registry, with the credentials of the user's
// container configuration if there are any. Registries at private or loopback
// addresses are spoken to without TLS.
func Push(ctx context.Context, ref string, img v1.Image) error {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	if err := remote.Write(parsed, img, pushOptions(ctx)...); err != nil {
		return pushError(ref, err)
	}
	return nil
}

func pushOptions(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

func pushError(ref string, err error) error {
	return fmt.Errorf("%s cannot be pushed; does the registry answer from here, and are you logged in to it? %w", ref, err)
}

// Tag is a short name for the content of some programs, for images whose
// users are rolled when, and only when, a program changed.
func Tag(programs ...string) (string, error) {
	sum := sha256.New()
	for _, program := range programs {
		if program == "" {
			continue
		}
		file, err := os.Open(program)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, file)
		file.Close()
		if err != nil {
			return "", err
		}
	}
	return "dev-" + hex.EncodeToString(sum.Sum(nil))[:12], nil
}
