// Package manifest turns an Application into a plain model of what must run: components, providers, links, configs and
// secret references, with wadm's ids and names. It does no I/O and does not log.
//
// Aliases (`actor`, `replicas`) and deprecated link forms are resolved here and nowhere else: what users wrote stays as
// they wrote it.
package manifest
