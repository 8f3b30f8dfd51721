// Package scaler decides what to command: what applications want and what the lattice shows go in, ordered commands with
// reasons come out. It is pure: the same input gives the same output, and it does no I/O and does not log.
package scaler
