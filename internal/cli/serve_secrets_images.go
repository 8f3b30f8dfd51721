package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/secrets"
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

// secretImages reads the tokens of components and providers in registries. What it keeps is the token: whether that is valid
// is asked each time.
type secretImages struct {
	source imageSource
	// logins of whoever asks.
	logins func(ctx context.Context, asker secrets.Asker) (ociwasm.Logins, error)
	now    func() time.Time
	// wait is imageWait.
	wait time.Duration

	flights singleflight.Group
	slots   chan struct{}

	mu    sync.Mutex
	known map[string]pulled
}

// pulled is what was found at an image.
type pulled struct {
	embedded
	err error
	// until is when it is looked at again; zero means never.
	until time.Time
}

func newSecretImages(source imageSource, logins func(context.Context, secrets.Asker) (ociwasm.Logins, error)) *secretImages {
	return &secretImages{source: source, logins: logins, now: time.Now, wait: imageWait, slots: make(chan struct{}, pullsAtOnce), known: map[string]pulled{}}
}

// Claims is that of grants.Images.
func (s *secretImages) Claims(ctx context.Context, asker secrets.Asker, image string) (*secrets.Entity, error) {
	if lattice.IsBuiltin(image) {
		return nil, nil // it is in the host, without a token
	}
	place, err := s.place(ctx, asker, image)
	if err != nil {
		return nil, err
	}
	found, ok := s.lookup(place.key())
	if !ok {
		if found, err = s.await(ctx, place); err != nil {
			return nil, err
		}
	}
	if found.err != nil || found.token == "" {
		return nil, found.err
	}
	entity, err := secrets.ReadEntity(found.token, s.now())
	if err == nil && entity.Kind != found.kind {
		err = errOtherKind
	}
	if err != nil {
		return nil, fmt.Errorf("the token in image %s is refused: %w", image, err)
	}
	return &entity, nil
}

// place is that of an image, and with which login it is fetched from there.
func (s *secretImages) place(ctx context.Context, asker secrets.Asker, image string) (imagePlace, error) {
	registry, err := s.source.Registry(image)
	if err != nil {
		return imagePlace{}, err
	}
	logins, err := s.logins(ctx, asker)
	if err != nil {
		return imagePlace{}, err
	}
	login, _ := logins.For(registry)
	return imagePlace{image, login}, nil
}

func (s *secretImages) lookup(key string) (pulled, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.known[key]
	return found, ok && (found.until.IsZero() || s.now().Before(found.until))
}

// await waits for the one pull of an image that is under way.
func (s *secretImages) await(ctx context.Context, place imagePlace) (pulled, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.wait, errSlowImage)
	defer cancel()
	done := s.flights.DoChan(place.key(), func() (any, error) {
		if found, ok := s.lookup(place.key()); ok { // by a pull that has just ended
			return found, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pullLimit)
		defer cancel()
		return s.keep(place, s.fetch(ctx, place)), nil
	})
	select {
	case result := <-done:
		return result.Val.(pulled), nil
	case <-ctx.Done():
		return pulled{}, fmt.Errorf("image %s: %w", place.image, context.Cause(ctx))
	}
}

// fetch pulls an image and takes its token out. A panic over foreign bytes must not end the process.
func (s *secretImages) fetch(ctx context.Context, place imagePlace) (found pulled) {
	defer func() {
		if p := recover(); p != nil {
			found = pulled{err: fmt.Errorf("image %s could not be read: %v", place.image, p)}
		}
	}()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return pulled{err: fmt.Errorf("image %s waits for others to be pulled: %w", place.image, ctx.Err())}
	}
	content, err := s.source.Open(ctx, place.image, place.login)
	if err != nil {
		return pulled{err: err}
	}
	defer content.Close()
	inside, err := readEmbedded(content, place.pinned(), s.now())
	if err != nil {
		return pulled{err: fmt.Errorf("image %s: %w", place.image, err)}
	}
	return pulled{embedded: inside}
}

// keep notes what was found: for ever where the reference has a digest.
func (s *secretImages) keep(place imagePlace, found pulled) pulled {
	switch {
	case found.err != nil:
		found.until = s.now().Add(failureAge)
	case !place.pinned():
		found.until = s.now().Add(tagAge)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxImages {
		clear(s.known)
	}
	s.known[place.key()] = found
	return found
}
