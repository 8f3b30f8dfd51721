package token

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

const (
	magic           = "\x00asm"
	moduleHeader    = magic + "\x01\x00\x00\x00"
	componentHeader = magic + "\x0d\x00\x01\x00"
	headerSize      = len(moduleHeader)

	customSection    = 0
	moduleSection    = 1 // of a component
	componentSection = 4 // of a component

	// maxDepth bounds how deep components are nested: Strip goes over the innermost once for each level.
	maxDepth = 32
)

// SectionName is the custom section that holds a token; oldSectionName was, before 2021.
const (
	SectionName    = "wasmcloud_jwt"
	oldSectionName = "jwt"
)

type section struct {
	id   byte
	body []byte
}

// sections goes over the sections of a module or component, without those nested in them.
func sections(code []byte) iter.Seq2[section, error] {
	return func(yield func(section, error) bool) {
		for rest := code[headerSize:]; len(rest) > 0; {
			size, n := binary.Uvarint(rest[1:])
			if n <= 0 || size > math.MaxUint32 || size > uint64(len(rest)-1-n) {
				yield(section{}, fmt.Errorf("%w: section %d at byte %d has no end", ErrNotWasm, rest[0], len(code)-len(rest)))
				return
			}
			end := 1 + n + int(size)
			if !yield(section{id: rest[0], body: rest[1+n : end]}, nil) {
				return
			}
			rest = rest[end:]
		}
	}
}

// isWasm tells code from text, which an engine may know how to read but which holds no token.
func isWasm(code []byte) bool { return len(code) >= headerSize && string(code[:len(magic)]) == magic }

// isComponent: the third of the numbers behind the magic is the layer.
func isComponent(code []byte) bool { return code[6] != 0 }

// token returns the text of a section that holds one.
func (s section) token() (text string, is bool) {
	if s.id != customSection {
		return "", false
	}
	size, n := binary.Uvarint(s.body)
	if n <= 0 || size > uint64(len(s.body)-n) {
		return "", false
	}
	end := n + int(size)
	name := string(s.body[n:end])
	return string(s.body[end:]), name == SectionName || name == oldSectionName
}

// find returns the first token of the component itself; those of components nested in it speak for them only.
func find(code []byte) (string, error) {
	if !isWasm(code) {
		return "", nil
	}
	for s, err := range sections(code) {
		if err != nil {
			return "", err
		}
		if text, is := s.token(); is {
			return text, nil
		}
	}
	return "", nil
}

// Strip writes a component without tokens, its own and those of everything nested in it, and with all sizes in their
// shortest form: this is what wash hashes.
func Strip(w io.Writer, code []byte) error {
	return strip(&output{w: w}, code, 0)
}

// output counts what is written; without a writer it only counts.
type output struct {
	w    io.Writer
	size int
}

func (o *output) put(p []byte) error {
	o.size += len(p)
	if o.w == nil {
		return nil
	}
	_, err := o.w.Write(p)
	return err
}

func (o *output) head(s section, size int) error {
	return o.put(binary.AppendUvarint([]byte{s.id}, uint64(size)))
}

func strip(out *output, code []byte, depth int) error {
	if !isWasm(code) || depth > maxDepth {
		return fmt.Errorf("%w: something in it is no WebAssembly, or is nested too deep", ErrNotWasm)
	}
	header := moduleHeader
	if isComponent(code) {
		header = componentHeader
	}
	if err := out.put([]byte(header)); err != nil {
		return err
	}
	for s, err := range sections(code) {
		if err == nil {
			nested := isComponent(code) && (s.id == moduleSection || s.id == componentSection)
			err = s.strip(out, nested, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s section) strip(out *output, nested bool, depth int) error {
	if _, is := s.token(); is {
		return nil
	}
	if !nested {
		return errors.Join(out.head(s, len(s.body)), out.put(s.body))
	}
	var inner output // its size comes before it
	if err := strip(&inner, s.body, depth+1); err != nil {
		return err
	}
	if err := out.head(s, inner.size); err != nil {
		return err
	}
	if out.w == nil {
		out.size += inner.size
		return nil
	}
	return strip(out, s.body, depth+1)
}
