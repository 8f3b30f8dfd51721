package exposure

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestReporter: what a look found is reported, unless a later one found something else before it was its turn, or what the
// status says already; a report that failed is made again.
func TestReporter(t *testing.T) {
	app := &Application{Namespace: hello.Namespace, Name: hello.Name}
	found := func(endpoint string) outcome { return outcome{endpoint: endpoint} }
	for name, test := range map[string]struct {
		do     func(p *reporter)
		during func(p *reporter, out outcome) error
		want   []string
	}{
		"once":                    {do: func(p *reporter) { p.note(app, found("a")) }, want: []string{"a"}},
		"the newest":              {do: func(p *reporter) { p.note(app, found("a")); p.note(app, found("b")) }, want: []string{"b"}},
		"nothing after all":       {do: func(p *reporter) { p.note(app, found("a")); p.forget(hello) }},
		"again after a failure":   {do: func(p *reporter) { p.note(app, found("a")) }, want: []string{"a", "a"}, during: failOnce()},
		"the newest on a failure": {do: func(p *reporter) { p.note(app, found("a")) }, want: []string{"a", "b"}, during: noteOnce(app, found("b"), errors.New("no"))},
		"the newest on success":   {do: func(p *reporter) { p.note(app, found("a")) }, want: []string{"a", "b"}, during: noteOnce(app, found("b"), nil)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				var p *reporter
				p = newReporter(func(_ context.Context, _ *Application, out outcome) error {
					got = append(got, out.endpoint)
					if test.during != nil {
						return test.during(p, out)
					}
					return nil
				})
				test.do(p)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- p.Start(ctx) }()
				time.Sleep(time.Minute)
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("reported %q, want %q", got, test.want)
				}
				if len(p.found) > 0 {
					t.Errorf("%d findings are left", len(p.found))
				}
			})
		})
	}
}

func failOnce() func(*reporter, outcome) error {
	failed := false
	return func(*reporter, outcome) error {
		if failed {
			return nil
		}
		failed = true
		return errors.New("no")
	}
}

// noteOnce notes something newer while the first is reported.
func noteOnce(app *Application, newer outcome, err error) func(*reporter, outcome) error {
	done := false
	return func(p *reporter, _ outcome) error {
		if done {
			return nil
		}
		done = true
		p.note(app, newer)
		return err
	}
}
