// Command trellis is the wasmCloud operator for Kubernetes. `trellis help` lists its subcommands.
package main

import (
	"os"

	"github.com/trellis-operator/trellis/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:])) }
