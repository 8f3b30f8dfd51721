package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	fetchTimeout  = 30 * time.Second
	fetchInterval = 100 * time.Millisecond
)

// until asks again and again until there is an answer.
func until(ctx context.Context, what string, ask func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	for {
		body, err := ask()
		if err == nil {
			return body, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not answer within %s: %w", what, fetchTimeout, err)
		case <-time.After(fetchInterval):
		}
	}
}

// fetch asks an address once; any other answer than 200 is an error.
func fetch(ctx context.Context, url string) (string, error) { return fetchFrom(ctx, url, "") }

// fetchFrom asks an address for the host of that name; empty: for that of the address.
func fetchFrom(ctx context.Context, url, host string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), nil
}
