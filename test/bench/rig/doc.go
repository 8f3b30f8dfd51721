// Package rig starts the programs that the API is measured with, each as its own process and on loopback alone: a
// nats-server, `trellis serve`, and kube-apiserver with etcd for the peer. All of them keep their data below one folder, so
// that they write to the same disk, and all of them write durably.
package rig
