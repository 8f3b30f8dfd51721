package takeover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Bucket is where wadm keeps manifests.
	Bucket = "wadm_manifests"
	// markPrefix begins the key of the mark of a lattice. Keys of wadm have no dot: lattices and names have none.
	markPrefix = "trellis."

	formatVersion = 1
)

// bucket is wadm's bucket as one lattice sees it.
type bucket struct {
	kv      jetstream.KeyValue
	lattice string
	// prefix of the lattice's keys: the lattice, in a multitenant wadm after the account.
	prefix string
}

// openBucket returns nil when there is none: no wadm ever ran here.
func openBucket(ctx context.Context, c Config) (*bucket, error) {
	js, err := newJetStream(c.Conn, c.Domain)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", Bucket, err)
	}
	kv, err := js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", Bucket, err)
	}
	b := &bucket{kv: kv, lattice: c.Lattice, prefix: c.Lattice}
	if c.Account != "" {
		b.prefix = c.Account + "-" + c.Lattice
	}
	return b, nil
}

func newJetStream(conn *nats.Conn, domain string) (jetstream.JetStream, error) {
	if domain == "" {
		return jetstream.New(conn)
	}
	return jetstream.NewWithDomain(conn, domain)
}

// get returns nil when there is no value.
func (b *bucket) get(ctx context.Context, key string) ([]byte, error) {
	entry, err := b.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of bucket %s: %w", key, Bucket, err)
	}
	return entry.Value(), nil
}

// names are the applications that wadm lists for the lattice. The key may as well be that of an application of another
// lattice, `a-b` is both; a list is a JSON array, an application an object.
func (b *bucket) names(ctx context.Context) ([]string, error) {
	value, err := b.get(ctx, b.prefix)
	if err != nil || !begins(value, '[') {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(value, &names); err != nil {
		return nil, fmt.Errorf("read %s of bucket %s: %w", b.prefix, Bucket, err)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// application returns what wadm kept of an application; the text says why that is nothing. A name that is listed without
// a value is one that wadm was about to delete or to make, and is nothing to speak of.
func (b *bucket) application(ctx context.Context, name string) (*stored, string, error) {
	value, err := b.get(ctx, b.prefix+"-"+name)
	switch {
	case err != nil || value == nil:
		return nil, "", err
	case !begins(value, '{'):
		return nil, "its key holds the list of another lattice: wadm has overwritten it", nil
	}
	found, err := decode(value)
	if err != nil {
		return nil, "what wadm kept of it can't be read: " + err.Error(), nil
	}
	if len(found.versions) == 0 {
		return nil, "", nil
	}
	if other := nameOf(found.versions[len(found.versions)-1].manifest); other != name {
		return nil, fmt.Sprintf("its key holds application %q of another lattice: wadm has overwritten it", other), nil
	}
	return found, "", nil
}

func begins(value []byte, c byte) bool {
	value = bytes.TrimLeft(value, " \t\r\n")
	return len(value) > 0 && value[0] == c
}

// nameOf is the name in a manifest, empty when it has none.
func nameOf(manifest json.RawMessage) string {
	var m struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if json.Unmarshal(manifest, &m) != nil {
		return ""
	}
	return strings.TrimSpace(m.Metadata.Name)
}

// readMark returns what was written when the lattice was taken over, nil when that has not been done.
func (b *bucket) readMark(ctx context.Context) (*Report, error) {
	value, err := b.get(ctx, markPrefix+b.lattice)
	if err != nil || value == nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("read %s of bucket %s: %w", markPrefix+b.lattice, Bucket, err)
	}
	return &r, nil
}

// writeMark says that the lattice was taken over. Another replica may have said it before.
func (b *bucket) writeMark(ctx context.Context, r *Report) error {
	r.Format = formatVersion
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the mark of the take-over: %w", err)
	}
	_, err = b.kv.Create(ctx, markPrefix+b.lattice, body)
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("write %s of bucket %s: %w", markPrefix+b.lattice, Bucket, err)
	}
	return nil
}
