package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	noise := make([]byte, 5000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"object": sampleBody(20), "one byte": {'x'}, "encrypted": noise, "largest": bytes.Repeat([]byte("application "), MaxObject/12),
	} {
		kept := pack(body)
		plain, err := kept.plain()
		if err != nil || !bytes.Equal(plain, body) {
			t.Errorf("%s: %d bytes come back as %d, %v", name, len(body), len(plain), err)
		}
		if len(kept) > len(body)+16 || cap(kept) > len(kept)+1024 {
			t.Errorf("%s: %d bytes take %d (%d reserved)", name, len(body), len(kept), cap(kept))
		}
	}
	if body := sampleBody(20); len(pack(body)) > len(body)/2 {
		t.Errorf("an object of %d bytes takes %d", len(body), len(pack(body)))
	}
	if pack(nil) != nil {
		t.Error("nothing is not nothing any more")
	}
}

// sampleBody is JSON with n components.
func sampleBody(n int) []byte {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`{"name":"component-%d","type":"component","properties":{"image":"ghcr.io/trellis-operator/component-%d:0.1.0",`+
			`"config":[{"name":"settings-%d","properties":{"level":"info"}}]},"traits":[{"type":"spreadscaler","properties":{"instances":%d}}]}`, i, i, i, i))
	}
	return []byte(`{"kind":"Application","spec":{"components":[` + strings.Join(parts, ",") + `]}}`)
}

func BenchmarkPack(b *testing.B) {
	body := sampleBody(20)
	kept := pack(body)
	b.Run("pack", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportMetric(float64(len(body))/float64(len(kept)), "ratio")
		for b.Loop() {
			pack(body)
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := kept.plain(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
