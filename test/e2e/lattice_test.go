//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
func connectLattice(ctx context.Context, t *testing.T) (conn *nats.Conn) {
	t.Helper()
	config := natsconn.Config{URLs: []string{natsURL(t, 4222)}, CredsFile: operatorCredentials(t), Name: "e2e"}
	eventually(t, time.Minute, "NATS answers", func() (err error) {
		conn, err = natsconn.Connect(ctx, config)
		return err
	})
	return conn
}

// awaitNothingLeft waits until a lattice holds nothing of an application any more, nor a record of what is to be stopped.
func awaitNothingLeft(t *testing.T, application string, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	conn := connectLattice(ctx, t)
	defer conn.Close()
	client, err := control.New(conn, latticeName, control.Options{Domain: domain, Window: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.NewWithDomain(conn, domain)
	if err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(ctx, conn, latticeName, domain)
	if err != nil {
		t.Fatal(err)
	}
	cluster := kubectl(t, "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
	eventually(t, limit, "nothing is left in the lattice", func() error {
		return errors.Join(nothingRuns(ctx, client, application), nothingKept(ctx, client, js, application),
			nothingToStop(ctx, book, cluster, application))
	})
}

// nothingRuns asks every host.
func nothingRuns(ctx context.Context, client *control.Client, application string) error {
	hosts, err := client.Ping(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, host := range hosts {
		inventory, err := client.HostInventory(ctx, host.ID)
		errs = append(errs, err)
		for _, component := range inventory.Components {
			if of(component.ID, application) {
				errs = append(errs, fmt.Errorf("host %s runs component %s", host.ID, component.ID))
			}
		}
		for _, provider := range inventory.Providers {
			if of(provider.ID, application) {
				errs = append(errs, fmt.Errorf("host %s runs provider %s", host.ID, provider.ID))
			}
		}
	}
	return errors.Join(errs...)
}

// nothingKept looks for links and configurations.
func nothingKept(ctx context.Context, client *control.Client, js jetstream.JetStream, application string) error {
	var errs []error
	links, err := linksOf(ctx, js)
	errs = append(errs, err)
	for _, link := range links {
		if of(link.SourceID, application) || of(link.Target, application) {
			errs = append(errs, fmt.Errorf("link %s to %s is there", link.SourceID, link.Target))
		}
	}
	bucket, err := lattice.ConfigBucket(client.Lattice())
	if err != nil {
		return err
	}
	names, err := keysOf(ctx, js, bucket)
	errs = append(errs, err)
	for _, name := range names {
		if of(name, application) {
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

func nothingToStop(ctx context.Context, book *ledger.Ledger, cluster, application string) error {
	records, err := book.ListTeardowns(ctx, cluster)
	for _, record := range records {
		if record.Application == application {
			err = errors.Join(err, fmt.Errorf("the record of what is to be stopped is there: %v %v on %v", record.Components, record.Providers, record.Hosts))
		}
	}
	return err
}

// of says whether a name in the lattice belongs to an application: wadm's ids begin with its name.
func of(id, application string) bool {
	sanitised := strings.ReplaceAll(application, "-", "_")
	return strings.HasPrefix(id, sanitised+"-") || strings.HasPrefix(id, application+"-")
}

func natsURL(t *testing.T, port int) string {
	t.Helper()
	return fmt.Sprintf("nats://%s:%d", kubectl(t, "get", "service", "trellis-nats", "-n", system, "-o", "jsonpath={.spec.clusterIP}"), port)
}

// operatorCredentials writes the operator's own credentials for the lattice to a file.
func operatorCredentials(t *testing.T) string {
	t.Helper()
	encoded := kubectl(t, "get", "secret", "trellis-nats-operator", "-n", system, "-o", `jsonpath={.data.lattice\.`+latticeName+`\.creds}`)
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
