package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trellis-operator/trellis/internal/backup"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/internal/storemark"
)

func restoreCommand() *cobra.Command {
	a, replace := storeAccess{}, false
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Fill the store from a backup; nothing is served from it before `trellis store accept`",
		Long: `Fill the store from a backup; "-" is standard input. The restored store is a new one, whose resourceVersions begin
above all that were used: every replica answers StoreChanged, and no lattice is changed, until "trellis store accept".`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.validate(); err != nil {
				return err
			}
			shelf, err := a.shelf()
			if err != nil {
				return err
			}
			file, err := openBackup(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }() // it was only read
			return runRestore(cmd.Context(), restoring{connect: a.connect, shelf: shelf, file: file, replace: replace, out: cmd.OutOrStdout()})
		},
	}
	a.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&replace, "replace", false, "replace a store that holds objects; they are gone then")
	return cmd
}

// openBackup opens a file, or copies standard input into a temporary one: it is read twice.
func openBackup(path string, stdin io.Reader) (*os.File, error) {
	if path != standardStream {
		return os.Open(path)
	}
	file, err := os.CreateTemp("", "trellis-restore-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil { // it goes when it is closed
		return nil, errors.Join(err, file.Close())
	}
	if _, err := io.Copy(file, stdin); err != nil {
		return nil, errors.Join(fmt.Errorf("read standard input: %w", err), file.Close())
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("go back to the beginning of what was read: %w", err), file.Close())
	}
	return file, nil
}

// restoring is one restore.
type restoring struct {
	connect func(context.Context) (*storeLinks, error)
	shelf   storemark.Shelf
	file    io.ReadSeeker
	replace bool
	out     io.Writer
}

// runRestore looks at everything that may be wrong, with the file and with the store, before it changes anything.
func runRestore(ctx context.Context, r restoring) error {
	header, streams, err := r.verify()
	if err != nil {
		return err
	}
	fmt.Fprintln(r.out, describeBackup(header))
	served, _, err := r.shelf.Load(ctx)
	if err != nil && !errors.Is(err, storemark.ErrNone) {
		return fmt.Errorf("%w; the revisions that were used must be known: run this in a pod of the operator", err)
	}
	links, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer links.close()
	present, err := store.Describe(ctx, links.store)
	if err != nil {
		return err
	}
	if (present.Objects > 0 || present.Restoring) && !r.replace {
		return fmt.Errorf("the store %s holds %d messages about objects, up to revision %d: restore with --replace if they may go, after a `trellis backup` of them",
			present.Identity, present.Objects, present.Revision)
	}
	bench, err := openBench(ctx)
	if err != nil {
		return err
	}
	defer bench.close()
	if err := r.unpack(ctx, bench); err != nil {
		return err
	}
	if unpacked, err := store.Describe(ctx, store.Config{Conn: bench.conn}); err != nil || unpacked.Identity != header.Identity {
		return errors.Join(fmt.Errorf("%w: it holds store %q, its header says %q", backup.ErrBroken, unpacked.Identity, header.Identity), err)
	}
	above := max(header.LastSequence, present.Revision, served.Served.Revision, served.Found.Revision)
	for _, s := range streams {
		if s.Lattice == "" {
			above = max(above, lastOf(s.State))
			continue
		}
		if err := r.ledger(ctx, bench, links, s.Lattice); err != nil {
			return err
		}
	}
	made, err := store.Refill(ctx, links.store, store.Config{Conn: bench.conn}, above, present.Exists)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "restored as %s; nothing is served from it before `trellis store accept`\n", storemark.Mark(made))
	return nil
}

// verify reads the whole file and goes back to its beginning.
func (r *restoring) verify() (backup.Header, []backup.Stream, error) {
	header, streams, err := backup.Verify(r.file)
	if err == nil && (len(streams) == 0 || streams[0].Name != store.DefaultStream) {
		err = fmt.Errorf("%w: there is no store in it", backup.ErrBroken)
	}
	for _, s := range streams {
		if s.Lattice != "" && s.Name != ledgerStream(s.Lattice) {
			err = errors.Join(err, fmt.Errorf("%w: it has a stream %q", backup.ErrBroken, s.Name))
		}
	}
	if err == nil {
		_, err = r.file.Seek(0, io.SeekStart)
	}
	return header, streams, err
}
