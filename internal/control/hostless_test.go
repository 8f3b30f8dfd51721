package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsd"
)

// hostless is a lattice whose hosts are gone and have left their buckets.
func hostless(t *testing.T) (*control.Client, string, jetstream.KeyValue, jetstream.KeyValue) {
	t.Helper()
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	var buckets [2]jetstream.KeyValue
	for i, name := range []string{"LATTICEDATA_default", "CONFIGDATA_default"} {
		if buckets[i], err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: name, History: 5}); err != nil {
			t.Fatal(err)
		}
	}
	return newClient(t, url, control.Options{}), url, buckets[0], buckets[1]
}

const storedSpec = `{"url":"ghcr.io/acme/http:1","links":[` +
	`{"source_id":"app-http","target":"app-hello","name":"default","wit_namespace":"wasi","wit_package":"http","interfaces":["incoming-handler"],"source_config":["app-http"],"target_config":[],"source_secrets":[],"target_secrets":[]},` +
	`{"source_id":"app-http","target":"app-other","name":"other","wit_namespace":"wasi","wit_package":"http","interfaces":["incoming-handler"],"source_config":[],"target_config":[],"source_secrets":[],"target_secrets":[]}]}`

// TestDeleteWithoutHosts: what hosts keep is deleted where no host is left to do it, and nothing else is.
func TestDeleteWithoutHosts(t *testing.T) {
	c, _, specs, configs := hostless(t)
	ctx := t.Context()
	put(t, specs, "COMPONENT_app-http", storedSpec)
	put(t, configs, "app-http", `{"address":"0.0.0.0:8080"}`)
	put(t, configs, "app-kept", `{}`)

	key := lattice.LinkKey{SourceID: "app-http", Name: "default", WitNamespace: "wasi", WitPackage: "http"}
	for range 2 { // one that is not there is no error
		if err := c.DeleteLink(ctx, key); err != nil {
			t.Fatal(err)
		}
		if err := c.DeleteConfig(ctx, "app-http"); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DeleteLink(ctx, lattice.LinkKey{SourceID: "nobody", Name: "default", WitNamespace: "wasi", WitPackage: "http"}); err != nil {
		t.Errorf("a link of an unknown source: %v", err)
	}
	entry, err := specs.Get(ctx, "COMPONENT_app-http")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := lattice.Decode[lattice.ComponentSpec](entry.Value())
	if err != nil || spec.URL != "ghcr.io/acme/http:1" || len(spec.Links) != 1 || spec.Links[0].Name != "other" {
		t.Errorf("the record is %s, %v; want the other link and the reference", entry.Value(), err)
	}
	if keys, err := configs.Keys(ctx); err != nil || !slices.Equal(keys, []string{"app-kept"}) {
		t.Errorf("configurations %v, %v", keys, err)
	}
}

func TestDeleteWithoutHosts_Errors(t *testing.T) {
	c, url, specs, _ := hostless(t)
	ctx := t.Context()
	put(t, specs, "COMPONENT_broken", `{"links":7}`)
	if err := c.DeleteLink(ctx, lattice.LinkKey{SourceID: "broken", Name: "default"}); !errors.Is(err, control.ErrBadReply) {
		t.Errorf("a record that cannot be read: %v", err)
	}
	if err := c.DeleteConfig(ctx, "a.>"); !errors.Is(err, lattice.ErrInvalidName) {
		t.Errorf("a name that reaches other keys: %v", err)
	}
	if err := c.PutConfig(ctx, "new", nil); !errors.Is(err, control.ErrNoResponders) {
		t.Errorf("a put waits for a host: %v", err)
	}
	// A host that listens and says nothing may have done it, or may do it yet.
	responder{id: hostA, answer: func(lattice.Operation, []byte) []lattice.Reply { return nil }}.run(t, connect(t, url), "default")
	put(t, specs, "COMPONENT_app-http", storedSpec)
	impatient := newClient(t, url, control.Options{Timeout: 50 * time.Millisecond})
	key := lattice.LinkKey{SourceID: "app-http", Name: "default", WitNamespace: "wasi", WitPackage: "http"}
	if err := impatient.DeleteLink(ctx, key); !errors.Is(err, control.ErrTimeout) {
		t.Errorf("a silent host: %v", err)
	}
	if entry, err := specs.Get(ctx, "COMPONENT_app-http"); err != nil || string(entry.Value()) != storedSpec {
		t.Errorf("the record was touched beside a host: %v", err)
	}
}

// TestDeleteWithoutHosts_NoBuckets: a lattice that never had a host.
func TestDeleteWithoutHosts_NoBuckets(t *testing.T) {
	c := newClient(t, natsd.Run(t, natsd.Options{}).ClientURL(), control.Options{})
	if err := errors.Join(c.DeleteConfig(t.Context(), "x"), c.DeleteLink(t.Context(), lattice.LinkKey{SourceID: "x", Name: "default"})); err != nil {
		t.Error(err)
	}
}

func put(t *testing.T, kv jetstream.KeyValue, key, value string) {
	t.Helper()
	if _, err := kv.PutString(context.Background(), key, value); err != nil {
		t.Fatal(err)
	}
}
