// Package archive reads the archives of capability providers: tar, mostly compressed by gzip (.par.gz), with one program
// for each kind of machine and a token that says whose they are.
package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	// maxUnpacked bounds what is unpacked on the way to the token. wash writes it first.
	maxUnpacked = 64 << 20
	// maxFiles is likewise; there is one for each kind of machine, and a few.
	maxFiles = 1000
	// maxToken is as much as a request for a secret may have in all.
	maxToken = 64 << 10
	// stem is what hosts call the token, without the part behind the dot.
	stem = "claims"

	gzipMagic = "\x1f\x8b"
)

var (
	// ErrForm: it is no archive.
	ErrForm = errors.New("this is no archive of a provider as wash writes it, tar or compressed tar")
	// ErrFar: the token may be there, but is not looked for any further.
	ErrFar = fmt.Errorf("there is no claims.jwt among the first %d files or in the first %d MiB of the unpacked archive of the provider; pack it with wash, which puts it first", maxFiles, maxUnpacked>>20)
	// ErrToken: what is in its place is no token.
	ErrToken = fmt.Errorf("claims.jwt in the archive of the provider is larger than %d KiB; sign the provider again", maxToken>>10)
)

// Token returns the token in an archive as text, of which nothing was checked; empty when the provider is not signed. The
// rest of the archive is neither unpacked nor read. Other errors than those of this package are those of the reader.
func Token(archive io.Reader) (string, error) {
	from := &source{Reader: archive}
	unpacked, err := unpack(from)
	if err != nil {
		return "", from.blame(err)
	}
	files := tar.NewReader(&bounded{unpacked, maxUnpacked})
	for range maxFiles {
		file, err := files.Next()
		if err == io.EOF {
			return "", nil
		}
		if err != nil {
			return "", from.blame(err)
		}
		if isToken(file) {
			text, err := read(files)
			return text, from.blame(err)
		}
	}
	return "", ErrFar
}

// isToken goes by the name as hosts do, which look neither at folders nor behind the dot. Of several they take the last:
// then a host asks with another token than the one found here, and gets nothing.
func isToken(file *tar.Header) bool {
	name := path.Base(file.Name)
	return file.Typeflag == tar.TypeReg && strings.TrimSuffix(name, path.Ext(name)) == stem
}

func read(file io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err == nil && len(text) > maxToken {
		err = ErrToken
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

// unpack returns the tar. Hosts read one member of a gzip file only.
func unpack(archive io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(archive)
	if magic, _ := buffered.Peek(len(gzipMagic)); string(magic) != gzipMagic {
		return buffered, nil // also what could not be read: reading it again says why
	}
	unpacked, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err
	}
	unpacked.Multistream(false)
	return unpacked, nil
}

// bounded ends with ErrFar what does not end.
type bounded struct {
	io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrFar
	}
	n, err := b.Reader.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// source notes why no more could be read, which parsers report as they please.
type source struct {
	io.Reader
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}

// blame says what an error of a parser comes from.
func (s *source) blame(err error) error {
	switch {
	case err == nil:
		return nil
	case s.failed != nil:
		return s.failed
	case errors.Is(err, ErrFar), errors.Is(err, ErrToken):
		return err
	}
	return fmt.Errorf("%w: %w", ErrForm, err)
}
