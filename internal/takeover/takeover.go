package takeover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Applications is the Application API in the name of the server itself, which alone may write what newer rules refuse and
// keep an application out of its lattice while its versions are written. Errors are those of the API.
type Applications interface {
	// List returns all applications of the cluster, as of now.
	List(ctx context.Context) ([]oam.Application, error)
	Get(ctx context.Context, namespace, name string) (*oam.Application, error)
	Create(ctx context.Context, app *oam.Application) (*oam.Application, error)
	// Update replaces an application if its resourceVersion is still the current one.
	Update(ctx context.Context, app *oam.Application) (*oam.Application, error)
	// Versions are the names of the stored versions of an application.
	Versions(ctx context.Context, app *oam.Application) ([]string, error)
}

// Config says what to take over, and into what.
type Config struct {
	// Conn is a connection to the lattice's account. It stays the caller's.
	Conn *nats.Conn
	// Domain is the JetStream domain of the bucket, "" for the account's own.
	Domain string
	// Lattice to take over, and the account of a multitenant wadm, else empty.
	Lattice, Account string
	// Cluster that takes over.
	Cluster string

	Applications Applications
	// Home is the namespace for new applications.
	Home func(ctx context.Context) (string, error)
	// Keep is how many versions of an application are kept.
	Keep int
	// Told is called for each application that was brought along, with what there is to say about it; perhaps again after
	// an interruption.
	Told func(ctx context.Context, app *oam.Application, notes []string) error
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Report says what came of a take-over.
type Report struct {
	Format  int       `json:"format"`
	Cluster string    `json:"cluster"`
	Time    time.Time `json:"time"`
	// Imported is the number of applications that came along.
	Imported int `json:"imported"`
	// Left are those that did not, the first of them.
	Left []Left `json:"left,omitempty"`
	// LeftTotal is the number of all of those.
	LeftTotal int `json:"leftTotal,omitempty"`
}

// Left is an application that was not brought along, and why.
type Left struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// leftShown is how many applications a report names.
const leftShown = 100

// bound names the first of those that were left.
func (r *Report) bound() {
	slices.SortFunc(r.Left, func(a, b Left) int { return strings.Compare(a.Name, b.Name) })
	r.LeftTotal = len(r.Left)
	r.Left = r.Left[:min(len(r.Left), leftShown)]
}

// String is the report in a sentence or two.
func (r *Report) String() string {
	text := fmt.Sprintf("%d applications were taken over from wadm", r.Imported)
	for _, l := range r.Left {
		text += fmt.Sprintf("; %s was not: %s", l.Name, l.Why)
	}
	if more := r.LeftTotal - len(r.Left); more > 0 {
		text += fmt.Sprintf("; %d more were not", more)
	}
	return text
}

// Look returns the report of a lattice that was taken over, nil when there was nothing to take over yet.
func Look(ctx context.Context, c Config) (*Report, error) {
	b, err := openBucket(ctx, c)
	if err != nil || b == nil {
		return nil, err
	}
	return b.readMark(ctx)
}

// Run takes a lattice over, unless that was done before. No wadm may serve the lattice meanwhile. isNew says that this call
// did it. After an error, call it again: it goes on where it was.
func Run(ctx context.Context, c Config) (report *Report, isNew bool, err error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	b, err := openBucket(ctx, c)
	if err != nil || b == nil {
		return nil, false, err
	}
	if report, err = b.readMark(ctx); err != nil || report != nil {
		return report, false, err
	}
	report = &Report{Cluster: c.Cluster}
	if err := (&importer{config: c, bucket: b, report: report}).all(ctx); err != nil {
		return nil, false, err
	}
	report.bound()
	report.Time = c.Now().UTC()
	return report, true, b.writeMark(ctx, report)
}

// importer is one run over all applications of a lattice.
type importer struct {
	config Config
	bucket *bucket

	mu     sync.Mutex
	report *Report
	// known are the applications of the lattice that exists already, by name.
	known map[string]*oam.Application
}

type named struct {
	name string
	*stored
}

func (i *importer) all(ctx context.Context) error {
	found, err := i.read(ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	if i.known, err = i.existing(ctx); err != nil {
		return err
	}
	// What is deployed comes first: that has the first claim to its ids.
	idle := func(app named) bool { return app.deployed == nil }
	if err := i.each(ctx, slices.DeleteFunc(slices.Clone(found), idle)); err != nil {
		return err
	}
	return i.each(ctx, slices.DeleteFunc(found, func(app named) bool { return !idle(app) }))
}

// sideBySide is how many applications are written at once: a write waits for the disk of NATS.
const sideBySide = 8

func (i *importer) each(ctx context.Context, apps []named) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, sideBySide)
	var running sync.WaitGroup
	for _, app := range apps {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			if err := i.one(ctx, app); err != nil {
				cancel(fmt.Errorf("take over application %q of lattice %q: %w", app.name, i.config.Lattice, err))
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// read returns what wadm has.
func (i *importer) read(ctx context.Context) ([]named, error) {
	names, err := i.bucket.names(ctx)
	if err != nil {
		return nil, err
	}
	var found []named
	for _, name := range names {
		app, why, err := i.bucket.application(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case why != "":
			i.leave(name, why)
		case app != nil:
			found = append(found, named{name, app})
		}
	}
	return found, nil
}

// existing are the applications that belong to the lattice, or would if they could.
func (i *importer) existing(ctx context.Context) (map[string]*oam.Application, error) {
	all, err := i.config.Applications.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	known := map[string]*oam.Application{}
	for n := range all {
		if app := &all[n]; app.Status.Lattice == i.config.Lattice || app.Status.Lattice == "" && app.Labels[oam.LatticeLabel] == i.config.Lattice {
			known[app.Name] = app
		}
	}
	return known, nil
}

func (i *importer) leave(name, why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.report.Left = append(i.report.Left, Left{name, why})
}

// errLeft says why an application is not brought along, now or ever.
type errLeft struct{ why string }

func (e errLeft) Error() string { return e.why }

func (i *importer) one(ctx context.Context, app named) error {
	known := i.known[app.name]
	if known != nil && known.Annotations[oam.WadmImportAnnotation] == "" {
		i.leave(app.name, fmt.Sprintf("application %s/%s has this name already and was left as it is", known.Namespace, known.Name))
		return nil
	}
	p, why := newPlan(app.name, i.config.Lattice, app.stored, i.config.Keep)
	if why != "" {
		i.leave(app.name, why)
		return nil
	}
	written, err := i.write(ctx, app.name, p, known)
	var left errLeft
	if errors.As(err, &left) {
		i.leave(app.name, left.why)
		return nil
	}
	if err != nil {
		return err
	}
	i.mu.Lock()
	i.report.Imported++
	i.mu.Unlock()
	return i.config.Told(ctx, written, p.notes)
}
