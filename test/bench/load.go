package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// quantiles of a set of durations.
type quantiles struct{ p50, p99 time.Duration }

func quantilesOf(took []time.Duration) quantiles {
	slices.Sort(took)
	return quantiles{p50: took[len(took)/2], p99: took[len(took)*99/100]}
}

// load sends requests over a number of connections kept open, and returns requests a second with the latencies.
func load(ctx context.Context, url string, requests, connections int) (float64, quantiles, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var failure error
	took := make([]time.Duration, 0, requests)
	var group sync.WaitGroup
	began := time.Now()
	for range connections {
		group.Go(func() {
			for range requests / connections {
				start := time.Now()
				err := one(ctx, client, url)
				mu.Lock()
				took = append(took, time.Since(start))
				if err != nil && failure == nil {
					failure = err
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if failure != nil {
		return 0, quantiles{}, failure
	}
	return float64(len(took)) / time.Since(began).Seconds(), quantilesOf(took), nil
}

func one(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// zeros is a body of a length that is not in memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// echo sends a body and counts what comes back.
func echo(ctx context.Context, url string, size int64) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, &zeros{left: size})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return 0, err
	}
	if got != size || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s echoed %d of %d bytes with %s", url, got, size, response.Status)
	}
	return time.Since(began), nil
}
