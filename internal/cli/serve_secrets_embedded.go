package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/trellis-operator/trellis/internal/archive"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

const wasmMagic = "\x00asm"

var errOtherKind = errors.New("it is of another kind than the image: hosts would not run that")

// embedded is the token in an image, empty if that is not signed, and what it must be the token of.
type embedded struct {
	token string
	// kind is secrets.Component or secrets.Provider.
	kind string
}

// readEmbedded takes the token out of a component or of the archive of a provider. The end of an archive is fetched only if
// the reference is pinned by a digest: there the content is compared with it. What a tag means the registry says anyway.
func readEmbedded(content io.Reader, pinned bool, now time.Time) (embedded, error) {
	buffered := bufio.NewReader(content)
	if magic, _ := buffered.Peek(len(wasmMagic)); string(magic) == wasmMagic {
		return readComponent(buffered, now)
	}
	text, err := archive.Token(buffered)
	if err == nil && pinned {
		_, err = io.Copy(io.Discard, buffered)
	}
	if err != nil {
		return embedded{}, err
	}
	return embedded{text, secrets.Provider}, nil
}

func readComponent(content io.Reader, now time.Time) (embedded, error) {
	code, err := io.ReadAll(io.LimitReader(content, maxImage+1))
	if err != nil {
		return embedded{}, err
	}
	if len(code) > maxImage {
		return embedded{}, fmt.Errorf("%w: a component has %d bytes at most", ociwasm.ErrTooLarge, maxImage)
	}
	found := embedded{kind: secrets.Component}
	signed, err := token.Read(code, now)
	if signed != nil {
		found.token = signed.JWT
	}
	return found, err // nothing signed beside an error
}
