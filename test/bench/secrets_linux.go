package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/test/controlplane"
)

// secretsSize says how much is measured of secrets. A host group may ask 50 times a second.
type secretsSize struct {
	apps, groups, hosts int // hosts of each group
	rate                int // fetches a second, of all
	span                time.Duration
}

func secretsSizeOf(short bool) secretsSize {
	if short {
		return secretsSize{apps: 5, groups: 5, hosts: 1, rate: 200, span: 2 * time.Second}
	}
	return secretsSize{apps: 50, groups: 5, hosts: 10, rate: 200, span: time.Minute}
}

// secretsBench is a lattice whose hosts ask for secrets.
type secretsBench struct {
	*planeBench
	size    secretsSize
	askers  []asker
	secrets []vaulted
	read    writes // of Secrets, and reviews, since trellis began
}

// asker is a host group as trellis sees it: a connection that asks below its prefix, in the name of its hosts.
type asker struct {
	conn   *nats.Conn
	client *secret.Client
	hosts  []string // tokens
}

// vaulted is an application with a secret.
type vaulted struct {
	name, value, token string
	reference          secret.Reference
}

// measureSecrets fetches secrets at a rate, as hosts do when many components start, and looks at what that takes of
// trellis and asks of kube-apiserver.
func measureSecrets(ctx context.Context, b *planeBench) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	s := &secretsBench{planeBench: b, size: secretsSizeOf(b.short), read: writes{of: map[string]int{}}}
	defer s.close()
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{{"hosts", s.makeHosts}, {"applications", s.makeApps}, {"fetches", s.measure}, {"audit", s.auditSeesLists}} {
		fmt.Fprintf(os.Stderr, "secrets: %s (load %.2f)\n", part.name, loadAverage())
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("secrets, %s: %w", part.name, err)
		}
	}
	return nil
}

func (s *secretsBench) close() {
	for _, a := range s.askers {
		a.conn.Close()
	}
}

func (s *secretsBench) name(what string) string {
	return fmt.Sprintf("secrets: %d fetches/s for %s, %d applications on %d hosts, %s", s.size.rate, s.size.span, s.size.apps, s.size.groups*s.size.hosts, what)
}

// measure takes the times of fetches, and what trellis used and read meanwhile.
func (s *secretsBench) measure(ctx context.Context) error {
	if err := s.note(); err != nil { // what came before belongs to trellis's life, not to the fetches
		return err
	}
	before := s.trellis.Memory()
	if err := errors.Join(s.warm(ctx), s.trellis.ForgetPeak()); err != nil {
		return err
	}
	warm, err := s.quiet(ctx, time.Second) // the log is a little behind
	if err != nil {
		return err
	}
	s.read.join(warm)
	was := s.read.copy()
	cpu, err := s.trellis.CPU()
	if err != nil {
		return err
	}
	got := s.fetch(ctx)
	after, err := s.trellis.CPU()
	if err := errors.Join(err, s.note()); err != nil {
		return err
	}
	if len(got.failures) > 0 {
		fmt.Fprintf(os.Stderr, "    %d fetches failed, as %v\n", len(got.failures), got.failures[0])
	}
	s.times(got)
	s.add(row{Name: s.name("processor of trellis"), Value: (after - cpu).Seconds() / s.size.span.Seconds(), Unit: "cores"})
	s.add(atMost(row{Name: s.name("memory of trellis, highest above that before the first"), Value: float64(s.trellis.Peak()-before) / mib, Unit: "MiB"}, 64))
	s.asked(was, got)
	return nil
}

func (s *secretsBench) times(got fetched) {
	q := quantilesOf(got.took)
	// The time ends with the last answer, so that all of them are a little less than the rate.
	s.add(atLeast(row{Name: s.name("answered with the value"), Value: got.rate(), Unit: "1/s"}, 0.99*float64(s.size.rate)))
	s.add(atMost(row{Name: s.name("answered otherwise"), Value: float64(len(got.failures)), Unit: "fetches"}, 0))
	s.add(row{Name: s.name("from when it was due to the value, p50"), Value: milli(q.p50), Unit: "ms"})
	s.add(atMost(row{Name: s.name("from when it was due to the value, p99"), Value: milli(q.p99), Unit: "ms"}, 20))
}

// asked is what kube-apiserver heard.
func (s *secretsBench) asked(was writes, got fetched) {
	gets, reviews := s.read.of["get secrets"]-was.of["get secrets"], s.read.asked-was.asked
	s.add(atMost(row{Name: s.name("Secrets read for each value"), Value: float64(gets) / float64(max(1, len(got.took)-len(got.failures))), Unit: "gets"}, 1))
	looks := s.read.of[fromMemory+" secrets"] - was.of[fromMemory+" secrets"]
	s.add(row{Name: s.name("looks at the versions of Secrets"), Value: float64(looks), Unit: "gets from memory"})
	// One ServiceAccount, and one Secret, of each application. The first answer of each is 10 s old or less.
	each := float64(s.size.apps) * (s.size.span.Seconds()/10 + 1)
	s.add(atMost(row{Name: s.name("reviews of a ServiceAccount in 10 s"), Value: float64(reviews) / each, Unit: "reviews"}, 1))
	s.add(atMost(row{Name: "secrets: lists and watches of Secrets since trellis began, in all namespaces or in one",
		Value: float64(s.read.of["list secrets"] + s.read.of["watch secrets"]), Unit: "requests"}, 0))
	fmt.Fprintln(os.Stderr, "    since trellis began:", s.read)
}

// note adds what was asked of kube-apiserver since the last time.
func (s *secretsBench) note() error {
	found, err := s.audit.since()
	s.read.join(found)
	return err
}

// auditSeesLists asks as trellis what trellis must not: it is refused, and the log that has none of its own has these.
func (s *secretsBench) auditSeesLists(ctx context.Context) error {
	if err := refusedToList(ctx, s.plane.Config, controlplane.User); err != nil {
		return err
	}
	had := s.read.copy()
	if err := s.note(); err != nil {
		return err
	}
	for _, verb := range []string{"list secrets", "watch secrets"} {
		if s.read.of[verb] == had.of[verb] {
			return fmt.Errorf("%s does not show that somebody asked to %s, so that nothing in it proves nothing", filepath.Base(s.audit.file), verb)
		}
	}
	return nil
}
