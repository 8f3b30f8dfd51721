// Package cli is the command line of trellis and the wiring of its parts: each subcommand reads its options, validates
// them all, builds the parts in reading order, and runs them until it is told to stop.
package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/apiserver/pkg/storage/feature"

	"github.com/trellis-operator/trellis/internal/store"
)

// Version of the program; set by the linker.
var Version = "0.1.0-dev"

// Run runs the command line and returns the exit code: 0, or 1 with a sentence on stderr.
func Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The one global that is replaced: k8s.io/apiserver asks it whether the storage reports progress to watches. It knows
	// etcd only, and without the answer every consistent list would bypass the watch cache.
	feature.DefaultFeatureSupportChecker = store.FeatureSupport{}
	root := &cobra.Command{
		Use:           "trellis",
		Short:         "The wasmCloud operator for Kubernetes",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(devCommand(), serveCommand(), initCommand(), checkCommand(), schemaCommand(),
		storeCommand(), backupCommand(), restoreCommand(), uninstallCommand(), versionCommand())
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "trellis:", err)
		return 1
	}
	return 0
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "trellis %s (%s, %s/%s)\n", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
