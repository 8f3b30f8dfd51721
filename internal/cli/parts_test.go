package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestPartsEndInReverseOrder(t *testing.T) {
	var mu sync.Mutex
	var ended []string
	p := newParts()
	for _, name := range []string{"nats", "store", "api"} {
		p.start(t.Context(), name, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, name)
			return nil
		})
	}
	if err := p.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if want := []string{"api", "store", "nats"}; !slices.Equal(ended, want) {
		t.Errorf("ended in the order %v; want %v", ended, want)
	}
}

func TestPartsReportTheFirstFailure(t *testing.T) {
	p := newParts()
	p.start(t.Context(), "host", func(context.Context) error { return errors.New("no such file") })
	err := p.wait(t.Context())
	if err == nil || !strings.Contains(err.Error(), "host: no such file") {
		t.Errorf("wait = %v; want the failure of the part with its name", err)
	}
	if err := p.stop(); err != nil {
		t.Errorf("stop after a failure that was told = %v; want nothing new", err)
	}
}

func TestAPartThatEndsByItselfIsAFailure(t *testing.T) {
	p := newParts()
	p.start(t.Context(), "host", func(context.Context) error { return nil })
	if err := p.wait(t.Context()); err == nil {
		t.Error("a part ended and nobody was told")
	}
	_ = p.stop()
}

func TestPartsFinishWhenTheCallersContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newParts()
	alive := make(chan struct{})
	p.start(ctx, "store", func(ctx context.Context) error {
		close(alive)
		<-ctx.Done()
		return nil
	})
	<-alive
	cancel()
	if err := p.wait(ctx); err != nil {
		t.Errorf("wait = %v; Ctrl-C is not a failure", err)
	}
	if err := p.stop(); err != nil {
		t.Errorf("stop = %v", err)
	}
}
