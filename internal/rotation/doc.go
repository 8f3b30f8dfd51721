// Package rotation looks after the secrets of what runs in a lattice: it tells in the status of each application how its
// secrets stand, and brings the value of a Secret that has changed to the hosts that were given an older one.
//
// It never sees a value. What hosts were given is known by the outcomes that replicas note, what a Secret has now by its
// resourceVersion. A host that is to have a new value asks for it, and is judged anew as with any request.
package rotation
