// Package orchestrator makes what applications say true in one lattice and keeps it true: it observes the lattice, plans
// with package scaler, acts by commands to hosts, and records what came of it in the status of applications.
//
// Nothing is stopped but for a live application that no longer wants it, or for a teardown record. Without its
// connection or its lease it does nothing, and before it acts again it looks again.
package orchestrator
