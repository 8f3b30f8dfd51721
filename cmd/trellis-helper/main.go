// Command trellis-helper runs inside the pods of host groups and of NATS, which hold no tools of their own. It is static.
//
//	trellis-helper install DIR      copies itself into DIR
//	trellis-helper probe nats       says whether a NATS server answers
//	trellis-helper probe leaf       says whether a leaf reaches JetStream in its hub
//	trellis-helper probe http URL   says whether an HTTP endpoint answers with success
//	trellis-helper probe tcp        says whether a port takes connections
//	trellis-helper drain            returns when the host of the pod may end
package main

import (
	"os"

	"github.com/trellis-operator/trellis/internal/helper"
)

func main() { os.Exit(helper.Run(os.Args[1:], os.Stdout, os.Stderr)) }
