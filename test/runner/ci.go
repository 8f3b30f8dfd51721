package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// ciLimit is what a run of continuous integration has; it ends there.
	ciLimit = 85 * time.Minute
	// peerNeeds is how much of it has to be left for a third-party peer whose build takes peerBuild.
	peerNeeds = 25 * time.Minute
	peerBuild = 7 * time.Minute
)

// ci is everything that is proved of each commit: `make test`, and one third-party peer in turn.
func ci([]string) []stage {
	start := time.Now()
	return append(test(nil), stage{"third-party peer", peerNeeds, func(ctx context.Context) error {
		return peerInTurn(ctx, slices.Sorted(maps.Keys(peerTests)), ciLimit-time.Since(start))
	}})
}

// peerInTurn runs the peer whose turn it is, if the time that is left is enough.
func peerInTurn(ctx context.Context, names []string, left time.Duration) error {
	if len(names) == 0 {
		return notRun{"there is no third-party peer yet"}
	}
	number, err := commitNumber(ctx)
	if err != nil {
		return err
	}
	name := inTurn(names, number)
	fmt.Printf("commit %d: it is the turn of %s among %s; %s are left of %s\n",
		number, name, strings.Join(names, ", "), left.Round(time.Second), ciLimit)
	needs, err := peerTime(ctx, name)
	if err != nil {
		return err
	}
	if left < needs {
		return notRun{fmt.Sprintf("%s are left of %s, and %s needs %s; `make test-peers PEER=%[3]s` runs it",
			left.Round(time.Second), ciLimit, name, needs)}
	}
	for _, s := range peers([]string{name}) {
		fmt.Printf("--> %s (budget %s)\n", s.name, s.budget)
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w; `make test-peers PEER=%s` runs this peer alone", s.name, err, name)
		}
	}
	return nil
}

// inTurn gives each of successive commits another one.
func inTurn(names []string, commit uint64) string { return names[commit%uint64(len(names))] }

// commitNumber counts commits; where the history is not there, the commit's own name is as good as a die.
func commitNumber(ctx context.Context) (uint64, error) {
	shallow, err := output(ctx, "git", "rev-parse", "--is-shallow-repository")
	if err != nil {
		return 0, err
	}
	base, what := 10, []string{"rev-list", "--count", "HEAD"}
	if strings.TrimSpace(shallow) == "true" {
		base, what = 16, []string{"rev-parse", "--short=8", "HEAD"}
	}
	text, err := output(ctx, "git", what...)
	if err != nil {
		return 0, err
	}
	text = strings.TrimSpace(text)
	return strconv.ParseUint(text[:min(12, len(text))], base, 64)
}
