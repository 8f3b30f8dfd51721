package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRunAll(t *testing.T) {
	fine := func(context.Context) error { return nil }
	wait := func(ctx context.Context) error { <-ctx.Done(); return errors.New("signal: interrupt") }
	for name, test := range map[string]struct {
		journey journey
		fails   string
		says    []string
	}{
		"passed":  {journey{stages: []stage{{"a", time.Minute, fine}, {"b", time.Minute, fine}}}, "", []string{"stages: 2 passed, 0 failed\n"}},
		"failed":  {journey{stages: []stage{{"a", time.Minute, func(context.Context) error { return errors.New("broken") }}, {"b", time.Minute, wait}}}, `stage "a" failed: broken`, []string{"stages: 0 passed, 1 failed\n"}},
		"not run": {journey{stages: []stage{{"a", time.Minute, func(context.Context) error { return notRun{"no reason"} }}, {"b", time.Minute, fine}}}, "", []string{"NOT RUN: a: no reason\n", "stages: 1 passed, 0 failed, 1 NOT RUN\n"}},
		"missing": {journey{missing: []missing{{"c", "not built yet"}}}, "", []string{"NOT RUN: not built yet", "stages: 0 passed, 0 failed\n"}},
		"limit":   {journey{stages: []stage{{"a", time.Minute, wait}, {"b", time.Minute, fine}}, limit: time.Millisecond}, "reached its limit of 1ms in stage \"a\"", []string{"FAILED", "stages: 0 passed, 1 failed\n"}},
		"silent limit": {journey{stages: []stage{{"a", time.Minute, func(ctx context.Context) error { <-ctx.Done(); return nil }}}, limit: time.Millisecond}, "reached its limit",
			[]string{"stages: 0 passed, 1 failed\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			test.journey.out = &out
			err := runAll(t.Context(), test.journey)
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("error %v; want %q", err, test.fails)
			}
			for _, words := range test.says {
				if !strings.Contains(out.String(), words) {
					t.Errorf("the output lacks %q:\n%s", words, out.String())
				}
			}
		})
	}
}

func TestPeersTakeTurns(t *testing.T) {
	names := []string{"a", "b", "c"}
	seen := map[string]bool{}
	for commit := range uint64(3) {
		seen[inTurn(names, 100+commit)] = true
	}
	if len(seen) != 3 {
		t.Errorf("three commits had the peers %v; want each once", seen)
	}
}

func TestAPeerThatCannotRunSaysSo(t *testing.T) {
	for name, err := range map[string]error{
		"none":    peerInTurn(t.Context(), nil, ciLimit),
		"no time": peerInTurn(t.Context(), []string{"a"}, peerNeeds-time.Second),
	} {
		if _, ok := errors.AsType[notRun](err); !ok {
			t.Errorf("%s: %v; want a reason why it is not run", name, err)
		}
	}
}

// What a command started ends with it.
func TestACommandEndsWithAllItStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := newPipe(t)
	done := make(chan error)
	go func() {
		cmd := command(ctx, "sh", "-c", "sleep 100 & echo ready; wait")
		cmd.Stdout = writer
		done <- finish(ctx, cmd)
	}()
	if _, err := reader.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("a command that was ended says nothing of it")
	}
	writer.Close()
	// The pipe ends when the last process that holds it has ended.
	if n, err := reader.Read(make([]byte, 16)); n != 0 || err == nil {
		t.Errorf("a process goes on: read %d, %v", n, err)
	}
}

func newPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return reader, writer
}
