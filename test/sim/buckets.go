package sim

import (
	"errors"
	"time"
)

// Bucket is one of the two buckets of a lattice.
type Bucket int

// Buckets of a lattice.
const (
	// DataBucket is LATTICEDATA_<lattice>: specifications and claims.
	DataBucket Bucket = iota
	// ConfigBucket is CONFIGDATA_<lattice>: named configurations.
	ConfigBucket
)

// ErrUnavailable: the buckets do not answer.
var ErrUnavailable = errors.New("the buckets do not answer")

// Entry is one change of a bucket.
type Entry struct {
	Key string
	// Value is nil where the entry was deleted.
	Value []byte
	Time  time.Time
	// Reset says that all that was reported before is void; it has no key, and what exists follows.
	Reset bool
	// Synced says that all that existed was reported; it has no key.
	Synced bool
}

// Buckets are what hosts of a lattice share.
type Buckets interface {
	Get(bucket Bucket, key string) (value []byte, found bool, err error)
	Put(bucket Bucket, key string, value []byte) error
	// Purge removes an entry; one that is not there is no error.
	Purge(bucket Bucket, key string) error
	// Watch reports what exists, Synced, and then changes, in order, until stop is called.
	Watch(bucket Bucket, report func(Entry)) (stop func(), err error)
}
