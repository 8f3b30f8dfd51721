//go:build cgo

package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/wasi"
	"github.com/trellis-operator/trellis/internal/wasmhost/wt"
)

func benchmarked(b *testing.B) map[string][]byte {
	b.Helper()
	hello, err := os.ReadFile("../../../examples/hello/component/hello.wasm")
	if err != nil {
		b.Fatal(err)
	}
	all := map[string][]byte{"hello": hello}
	if js, err := os.ReadFile(fixtures + "js/app.wasm"); err == nil {
		all["js"] = js
	}
	return all
}

// BenchmarkInstantiate is what a request costs before its component runs.
func BenchmarkInstantiate(b *testing.B) {
	for name, code := range benchmarked(b) {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b)
			loaded, err := e.Load(b.Context(), code)
			if err != nil {
				b.Fatal(err)
			}
			c := loaded.(*component)
			for b.Loop() {
				store := e.wt.NewStore(wt.Options{Data: wasi.NewInstance(context.Background(), wasi.Host{}), Limits: wt.Limits{MemoryBytes: 256 << 20}})
				if _, err := c.linker.Instantiate(store, c.code); err != nil {
					b.Fatal(err)
				}
				store.Close()
			}
		})
	}
}

// BenchmarkRequest is a GET over loopback with 1 and 16 connections kept open.
func BenchmarkRequest(b *testing.B) {
	for name, code := range benchmarked(b) {
		for _, connections := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/connections=%d", name, connections), func(b *testing.B) {
				s := serve(b, code, wasmhost.Call{Config: func() map[string]string { return nil }})
				request(b, s.url, connections, b.N)
			})
		}
	}
}

func request(b *testing.B, url string, connections, n int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	work := make(chan struct{})
	times := make([][]time.Duration, connections)
	var wait sync.WaitGroup
	b.ResetTimer()
	for i := range connections {
		wait.Go(func() {
			for range work {
				began := time.Now()
				response, err := client.Get(url)
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != 200 {
					b.Errorf("status %d", response.StatusCode)
				}
				times[i] = append(times[i], time.Since(began))
			}
		})
	}
	for range n {
		work <- struct{}{}
	}
	close(work)
	wait.Wait()
	b.StopTimer()
	all := slices.Concat(times...)
	slices.Sort(all)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
}

// BenchmarkEcho is the throughput of a body that goes through a component and back.
func BenchmarkEcho(b *testing.B) {
	body := bytes.Repeat([]byte{'x'}, 8<<20)
	for name, c := range map[string]struct{ file, path string }{"small": {"echo.wasm", ""}, "js": {"js/app.wasm", "/echo"}} {
		b.Run(name, func(b *testing.B) {
			code, err := os.ReadFile(fixtures + c.file)
			if err != nil {
				b.Skip(err)
			}
			s := serve(b, code, wasmhost.Call{MaxTime: time.Minute})
			b.SetBytes(int64(len(body)))
			b.ResetTimer()
			for b.Loop() {
				response, err := http.Post(s.url+c.path, "application/octet-stream", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if err != nil || n != int64(len(body)) {
					b.Fatal(n, err)
				}
			}
		})
	}
}
