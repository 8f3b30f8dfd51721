// Command kube makes a real Kubernetes cluster on a bare Linux machine, from
// Go modules, and takes it away again. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/trellis-operator/trellis/test/kube/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
