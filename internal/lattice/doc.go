// Package lattice holds the nouns of a wasmCloud lattice and their wire forms: subjects, bucket and key names, control
// messages, events and stored records, as hosts 1.0 to 1.9 speak them. It is pure: no I/O, no logging, no clock.
//
// Both directions are here, so that the control client, the development host and the simulated lattice share one
// description of each message. Decoding is tolerant the way hosts are (unknown members are ignored, documented aliases
// and defaults apply) and bounded; encoding writes what a 1.9 host writes.
package lattice
