//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/natsconn"
)

// latticeName is the lattice of the example's host group, and domain that of its NATS.
const (
	latticeName = "default"
	domain      = "default"
)

// connectLattice connects to the account of the lattice, as soon as NATS answers: it may have been killed just now.
func connectLattice(ctx context.Context, t *testing.T) *nats.Conn {
	t.Helper()
	return connectWith(ctx, t, operatorCredentials(t))
}

// connectAs connects to an account of the NATS of Trellis.
func connectAs(t *testing.T, account string) *nats.Conn {
	t.Helper()
	conn := connectWith(t.Context(), t, credentialsOf(t, account))
	t.Cleanup(conn.Close)
	return conn
}

func connectWith(ctx context.Context, t *testing.T, credentials string) (conn *nats.Conn) {
	t.Helper()
	config := natsconn.Config{URLs: []string{natsURL(t, 4222)}, CredsFile: credentials, Name: "e2e"}
	eventually(t, time.Minute, "NATS answers", func() (err error) {
		conn, err = natsconn.Connect(ctx, config)
		return err
	})
	return conn
}

// awaitNothingLeft waits until the lattice holds nothing of an application any more, nor a record of what is to be stopped.
func awaitNothingLeft(t *testing.T, application string, limit time.Duration) {
	t.Helper()
	openLattice(t).awaitNothingLeft(t, limit, application)
}

// latticeView is a lattice, as an administrator of its account sees it.
type latticeView struct {
	conn    *nats.Conn
	client  *control.Client
	js      jetstream.JetStream
	book    *ledger.Ledger
	cluster string
}

// openLattice connects until the test ends.
func openLattice(t *testing.T) *latticeView {
	t.Helper()
	ctx := t.Context()
	v := &latticeView{conn: connectLattice(ctx, t), cluster: kubectl(t, "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")}
	t.Cleanup(v.conn.Close)
	var err error
	if v.client, err = control.New(v.conn, latticeName, control.Options{Domain: domain, Window: time.Second}); err != nil {
		t.Fatal(err)
	}
	if v.js, err = jetstream.NewWithDomain(v.conn, domain); err != nil {
		t.Fatal(err)
	}
	if v.book, err = ledger.Open(ctx, v.conn, latticeName, domain); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *latticeView) awaitNothingLeft(t *testing.T, limit time.Duration, applications ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	eventually(t, limit, "nothing is left in the lattice", func() error {
		return errors.Join(v.nothingRuns(ctx, applications), v.nothingKept(ctx, applications), v.nothingToStop(ctx, applications))
	})
}

// nothingRuns asks every host.
func (v *latticeView) nothingRuns(ctx context.Context, applications []string) error {
	hosts, err := v.client.Ping(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, host := range hosts {
		inventory, err := v.client.HostInventory(ctx, host.ID)
		errs = append(errs, err)
		for _, component := range inventory.Components {
			if of(component.ID, applications...) {
				errs = append(errs, fmt.Errorf("host %s runs component %s", host.ID, component.ID))
			}
		}
		for _, provider := range inventory.Providers {
			if of(provider.ID, applications...) {
				errs = append(errs, fmt.Errorf("host %s runs provider %s", host.ID, provider.ID))
			}
		}
	}
	return errors.Join(errs...)
}

// nothingKept looks for links and configurations.
func (v *latticeView) nothingKept(ctx context.Context, applications []string) error {
	var errs []error
	links, err := linksOf(ctx, v.js)
	errs = append(errs, err)
	for _, link := range links {
		if of(link.SourceID, applications...) || of(link.Target, applications...) {
			errs = append(errs, fmt.Errorf("link %s to %s is there", link.SourceID, link.Target))
		}
	}
	bucket, err := lattice.ConfigBucket(latticeName)
	if err != nil {
		return err
	}
	names, err := keysOf(ctx, v.js, bucket)
	errs = append(errs, err)
	for _, name := range names {
		if of(name, applications...) {
			errs = append(errs, fmt.Errorf("configuration %s is there", name))
		}
	}
	return errors.Join(errs...)
}

// linksOf reads what the hosts of a lattice share, without a host: there may be none.
func linksOf(ctx context.Context, js jetstream.JetStream) (links []lattice.Link, err error) {
	bucket, err := lattice.DataBucket(latticeName)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(ctx, js, bucket)
	if err != nil {
		return nil, err
	}
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "COMPONENT_") {
			continue
		}
		entry, err := kv.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		spec, err := lattice.Decode[lattice.ComponentSpec](entry.Value())
		if err != nil {
			return nil, err
		}
		links = append(links, spec.Links...)
	}
	return links, nil
}

func keysOf(ctx context.Context, js jetstream.JetStream, bucket string) ([]string, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return nil, err
	}
	keys, err := kv.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	return keys, err
}

func (v *latticeView) nothingToStop(ctx context.Context, applications []string) error {
	records, err := v.book.ListTeardowns(ctx, v.cluster)
	for _, record := range records {
		if slices.Contains(applications, record.Application) {
			err = errors.Join(err, fmt.Errorf("the record of what is to be stopped is there: %v %v on %v", record.Components, record.Providers, record.Hosts))
		}
	}
	return err
}

// of says whether a name in the lattice belongs to one of the applications: wadm's ids begin with its name.
func of(id string, applications ...string) bool {
	return slices.ContainsFunc(applications, func(application string) bool {
		sanitised := strings.ReplaceAll(application, "-", "_")
		return strings.HasPrefix(id, sanitised+"-") || strings.HasPrefix(id, application+"-")
	})
}

func natsURL(t *testing.T, port int) string {
	t.Helper()
	return fmt.Sprintf("nats://%s:%d", kubectl(t, "get", "service", "trellis-nats", "-n", system, "-o", "jsonpath={.spec.clusterIP}"), port)
}

// operatorCredentials writes the operator's own credentials for the lattice to a file.
func operatorCredentials(t *testing.T) string {
	t.Helper()
	return credentialsOf(t, "lattice."+latticeName)
}

// credentialsOf writes the operator's credentials for an account to a file.
func credentialsOf(t *testing.T, account string) string {
	t.Helper()
	key := strings.ReplaceAll(account+".creds", ".", `\.`)
	encoded := kubectl(t, "get", "secret", "trellis-nats-operator", "-n", system, "-o", "jsonpath={.data."+key+"}")
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "creds")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
