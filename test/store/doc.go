// Package store breaks what the store stands on, nats-server processes and their disks, and looks whether what
// docs/spec/store.md promises is kept. It is a package of tests that uses the public face of internal/store only.
//
// It runs with TRELLIS_FAULTS=1 (`make test` sets it), in its short form; TRELLIS_LONG=1 is the full length
// (`make test-long`). What chance decides comes from a seed that is printed; TRELLIS_SEED repeats it.
//
// The test program itself becomes nats-server when it is started with TRELLIS_NATS_SERVER, so that a server is a process
// that can be killed, stopped, and put on any disk. Power loss and full disks need the right to mount (root) and, for the
// former, /dev/fuse; a test that is refused them says so, and fails where CI=true.
package store
