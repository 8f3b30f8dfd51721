package manifest

import "errors"

// Limits keep one application from costing more than its share, and its stored form below NATS's payload limit.
const (
	// MaxBytes of a manifest: with bookkeeping it must fit a message of 1 MiB.
	MaxBytes = 512 << 10
	// MaxDepth and MaxNodes of a document, aliases expanded.
	MaxDepth = 64
	MaxNodes = 100_000

	MaxComponents = 1000
	MaxTraits     = 200
	MaxSpreads    = 100
	MaxConfigs    = 200
	MaxSecrets    = 200
	MaxInterfaces = 100
	MaxPolicies   = 100
	MaxNameLength = 253
	// MaxIDLength leaves room in the subjects and keys that contain an id.
	MaxIDLength = 200
)

var (
	errTooComplex = errors.New("the document is nested too deeply or has too many values")
	errTooLarge   = errors.New("the manifest is larger than 512 KiB")
)
