package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

const (
	// imageWait is how long a request waits for a pull: less than its own limit, so that the host is told why. The pull goes
	// on up to pullLimit, for the request after this one.
	imageWait = 4 * time.Second
	pullLimit = 20 * time.Second
	// pullsAtOnce times maxImage is the memory that pulls may take.
	pullsAtOnce = 4

	// tagAge is how long a tag is taken to mean the same image; failureAge is how long a failed pull is not tried again.
	tagAge     = time.Minute
	failureAge = 2 * time.Second
	maxImages  = 4096
)

var errSlowImage = errors.New("the image is still being pulled")

var _ grants.Images = (*secretImages)(nil)

// secretImages reads the tokens of components in registries. What it keeps is the token: whether that is valid is asked
// each time.
type secretImages struct {
	pull func(ctx context.Context, image string) ([]byte, error)
	now  func() time.Time
	// wait is imageWait.
	wait time.Duration

	flights singleflight.Group
	slots   chan struct{}

	mu    sync.Mutex
	known map[string]pulled
}

// pulled is what was found at an image; token is empty for one that is not signed.
type pulled struct {
	token string
	err   error
	// until is when it is looked at again; zero means never.
	until time.Time
}

func newSecretImages(pull func(context.Context, string) ([]byte, error)) *secretImages {
	return &secretImages{pull: pull, now: time.Now, wait: imageWait, slots: make(chan struct{}, pullsAtOnce), known: map[string]pulled{}}
}

// Claims is that of grants.Images.
func (s *secretImages) Claims(ctx context.Context, image string) (*secrets.Entity, error) {
	found, ok := s.lookup(image)
	if !ok {
		var err error
		if found, err = s.await(ctx, image); err != nil {
			return nil, err
		}
	}
	if found.err != nil || found.token == "" {
		return nil, found.err
	}
	entity, err := secrets.ReadEntity(found.token, s.now())
	if err != nil {
		return nil, fmt.Errorf("the token in image %s is refused: %w", image, err)
	}
	return &entity, nil
}

func (s *secretImages) lookup(image string) (pulled, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.known[image]
	return found, ok && (found.until.IsZero() || s.now().Before(found.until))
}

// await waits for the one pull of an image that is under way.
func (s *secretImages) await(ctx context.Context, image string) (pulled, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.wait, errSlowImage)
	defer cancel()
	done := s.flights.DoChan(image, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pullLimit)
		defer cancel()
		return s.keep(image, s.fetch(ctx, image)), nil
	})
	select {
	case result := <-done:
		return result.Val.(pulled), nil
	case <-ctx.Done():
		return pulled{}, fmt.Errorf("image %s: %w", image, context.Cause(ctx))
	}
}

// fetch pulls an image and takes its token out. A panic over foreign bytes must not end the process.
func (s *secretImages) fetch(ctx context.Context, image string) (found pulled) {
	defer func() {
		if p := recover(); p != nil {
			found = pulled{err: fmt.Errorf("image %s could not be read: %v", image, p)}
		}
	}()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return pulled{err: fmt.Errorf("image %s waits for others to be pulled: %w", image, ctx.Err())}
	}
	code, err := s.pull(ctx, image)
	if err != nil {
		return pulled{err: err}
	}
	signed, err := token.Read(code, s.now())
	if err != nil {
		return pulled{err: fmt.Errorf("image %s: %w", image, err)}
	}
	if signed != nil {
		found.token = signed.JWT
	}
	return found
}

// keep notes what was found: for ever where the reference has a digest.
func (s *secretImages) keep(image string, found pulled) pulled {
	switch {
	case found.err != nil:
		found.until = s.now().Add(failureAge)
	case !strings.Contains(image, "@"):
		found.until = s.now().Add(tagAge)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxImages {
		clear(s.known)
	}
	s.known[image] = found
	return found
}
