package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/takeover"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// noteLattices says of each lattice of the configuration who answers wash, what came of the take-over from wadm, and whether
// it is known which host group asks for a secret. It notes and never fails: an installation beside a wadm that still runs is as it should be.
func noteLattices(ctx context.Context, out io.Writer, settings *config.Config) {
	connector := &natsConnector{config: settings.NATS, name: "trellis-check"}
	for _, l := range settings.Lattices {
		connector.lattices = append(connector.lattices, l.Name)
	}
	links := newLattices("", connector.lattice)
	defer links.close()
	for _, name := range connector.lattices {
		noteLattice(ctx, out, links, name, settings)
	}
}

// noteTimeout is how long a lattice may take to say anything.
const noteTimeout = 10 * time.Second

func noteLattice(ctx context.Context, out io.Writer, links *lattices, name string, settings *config.Config) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	link, err := links.link(ctx, name)
	if err != nil {
		fmt.Fprintf(out, "note    lattice %s can't be asked: %v\n", name, err)
		return
	}
	by, err := wadmapi.WhoAnswers(ctx, link.conn, name)
	if err != nil {
		by = "by nobody that can be told: " + err.Error()
	}
	fmt.Fprintf(out, "note    lattice %s is served %s\n", name, by)
	if settings.Secrets.Enabled {
		fmt.Fprintf(out, "note    lattice %s: a host group that asks for a secret is %s\n", name, known(link.groupsDoubt()))
	}
	report, err := takeover.Look(ctx, takeover.Config{Conn: link.conn, Domain: link.domain, Lattice: name, Account: settings.Wash.Accounts[name]})
	switch {
	case err != nil:
		fmt.Fprintf(out, "note    lattice %s: what wadm left can't be read: %v\n", name, err)
	case report != nil:
		fmt.Fprintf(out, "note    lattice %s: %s\n", name, report)
	}
}

func known(doubt string) string {
	if doubt == "" {
		return "known"
	}
	return "unknown: " + doubt
}
