// Package takeover brings what wadm kept of a lattice into the Application API, once, when no wadm serves the lattice any
// more: every application that wadm lists, with its versions in their order and with what was deployed. What runs is not
// touched; it is recognised later by the ids and annotations that wadm gave it.
//
// That it was done is written into wadm's own bucket, beside the data: a lattice whose other buckets were lost does not
// get back what was deleted since. Nothing else in the bucket is changed, so wadm could go on from it.
//
// It may be interrupted at any time, and several replicas may do it at once. An application is written version by version
// under an annotation that keeps it out of every lattice, and enters its lattice with the last write; whoever goes on
// looks which versions are there.
package takeover
