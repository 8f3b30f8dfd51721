//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestManyRequests(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	url, err := a.url(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{1, 32} {
		t.Run(fmt.Sprintf("1000 requests, %d at once", at), func(t *testing.T) {
			began := time.Now()
			ask(t, url, 1000, at)
			t.Logf("%.0f requests a second", 1000/time.Since(began).Seconds())
		})
	}
}

// ask sends requests, some of them at once; all must be answered 200.
func ask(t *testing.T, url string, requests, at int) {
	t.Helper()
	client := newClient(at)
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var group sync.WaitGroup
	for range at {
		group.Go(func() {
			for next.Add(1) <= int64(requests) {
				if status, body, err := get(t.Context(), client, url); err != nil || status != http.StatusOK {
					t.Errorf("%d %q %v", status, body, err)
					return
				}
			}
		})
	}
	group.Wait()
}

const (
	bodySize    = 64 << 20
	memoryLimit = 200 // MiB
	echoImage   = "ghcr.io/trellis-operator/javascript:e2e"
	// echoFile is built from npm packages, by `make check`.
	echoFile = "test/fixtures/components/js/app.wasm"
)

// A body that is larger than what the component was ever tuned for goes through a host that stays small.
func TestALargeBody(t *testing.T) {
	push(t, echoImage, filepath.Join(root(t), echoFile))
	a := newApplication(t, "application.yaml")
	a.text = strings.Replace(a.text, exampleImage, "image: "+echoImage+"\n", 1)
	a.hosts(t)
	apply(t, a.namespace, a.text)
	a.awaitAnswer(t, 90*time.Second, "Hello from JavaScript!")
	a.awaitEndpoints(t, 90*time.Second, 1)
	pods, err := a.endpoints(t)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := processOf(t, a.namespace, pods[0], "wasmcloud-host")
	if err != nil {
		t.Fatal(err)
	}
	// What compiling took was before; from here on only the body counts.
	t.Logf("the host had %d MiB at most when it had compiled the component", peakMemory(t, pid))
	forgetPeak(t, pid)
	address := kubectl(t, "get", "pod", pods[0], "-n", a.namespace, "-o", "jsonpath={.status.podIP}")
	url, err := a.url(t)
	if err != nil {
		t.Fatal(err)
	}
	// To the host that is measured, and through the Service, which may lead to other groups of the lattice as well.
	for _, target := range []string{fmt.Sprintf("http://%s:%d/", address, a.port), url} {
		echo(t, target+"echo", bodySize)
	}
	if peak := peakMemory(t, pid); peak >= memoryLimit {
		t.Errorf("the host had %d MiB; want less than %d", peak, memoryLimit)
	} else {
		t.Logf("the host had %d MiB at most", peak)
	}
}

// push gives a component to the cluster's registry.
func push(t *testing.T, image, file string) {
	t.Helper()
	if _, err := run(t.Context(), "go", "", "run", "-C", filepath.Join(root(t), "test/kube"), ".", "push-component", image, file); err != nil {
		t.Fatal(err)
	}
}

// echo sends a body, which must come back as it was.
func echo(t *testing.T, url string, size int64) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sent := sha256.New()
	body := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), sent)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = size
	client := newClient(1)
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	received := sha256.New()
	count, err := io.Copy(received, response.Body)
	if err != nil || response.StatusCode != http.StatusOK || count != size || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		t.Fatalf("status %d, %d of %d bytes, %v", response.StatusCode, count, size, err)
	}
	t.Logf("%d MiB in %s", size>>20, time.Since(began).Round(10*time.Millisecond))
}
