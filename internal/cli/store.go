package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trellis-operator/trellis/internal/storemark"
)

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Decide about the store of applications",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(acceptCommand())
	return cmd
}

func acceptCommand() *cobra.Command {
	a := storeAccess{}
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Take the store that is there as the truth, after StoreChanged",
		Long: `Take the store that is there as the truth, after StoreChanged: it was lost and made anew, restored, or replaced.
All replicas go on with it within seconds, without a restart. What runs in a lattice and is not in this store is left
alone; "trellis check --orphans" lists it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.validate(); err != nil {
				return err
			}
			shelf, err := a.shelf()
			if err != nil {
				return err
			}
			return runAccept(cmd.Context(), shelf, cmd.OutOrStdout())
		},
	}
	a.addMarkFlags(cmd.Flags())
	return cmd
}

func runAccept(ctx context.Context, shelf storemark.Shelf, out io.Writer) error {
	before, after, err := storemark.Accept(ctx, shelf)
	if errors.Is(err, storemark.ErrNone) {
		return errors.New("nothing is on record about a store: there is nothing to accept; does `trellis serve` run in this namespace?")
	}
	if err != nil {
		return fmt.Errorf("accept the store: %w", err)
	}
	if before == after {
		fmt.Fprintf(out, "nothing to accept: %s is served\n", before.Served)
		return nil
	}
	fmt.Fprintf(out, "served before  %s\naccepted now   %s\n", before.Served, after.Served)
	if after.Served.Identity == "" {
		fmt.Fprintln(out, "an empty store will be made")
	} else if after.Served.Revision < before.Served.Revision {
		fmt.Fprint(out, "this store ends before the one that was served: its next resourceVersions were used already;\n"+
			"`trellis backup FILE`, `trellis restore --replace FILE` and another accept lift it above them\n")
	}
	return nil
}
