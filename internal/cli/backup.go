package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trellis-operator/trellis/internal/backup"
	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/store"
)

// standardStream stands for standard output or input in the place of a file.
const standardStream = "-"

func backupCommand() *cobra.Command {
	a := storeAccess{}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the store and the ledgers of its lattices into one file",
		Long: `Write the store and the ledgers of its lattices into one file that "trellis restore" reads; "-" is standard
output. Nothing is stopped meanwhile. A backup that was interrupted leaves no file.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.validate(); err != nil {
				return err
			}
			links, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer links.close()
			if args[0] == standardStream {
				return writeBackup(cmd.Context(), links, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return backupTo(cmd.Context(), links, args[0], cmd.OutOrStdout())
		},
	}
	a.addFlags(cmd.Flags())
	return cmd
}

// backupTo writes a file that appears under its name when it is whole, and replaces none.
func backupTo(ctx context.Context, links *storeLinks, path string, report io.Writer) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s exists: name another file, or remove it first", path), err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close(), os.Remove(file.Name()))
		}
	}()
	if err := writeBackup(ctx, links, file, report); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return file.Close()
}

// writeBackup writes the object stream and every ledger that there is.
func writeBackup(ctx context.Context, links *storeLinks, out, report io.Writer) error {
	found, err := store.Describe(ctx, links.store)
	switch {
	case err != nil:
		return err
	case !found.Exists:
		return errors.New("there is no store to back up: nothing was ever applied, or it was lost")
	case found.Restoring:
		return errors.New("a restore into the store has not ended: there is nothing whole to back up")
	}
	w, err := backup.NewWriter(out, backup.Header{
		Program: "trellis " + Version, Time: time.Now().UTC(), Identity: found.Identity, LastSequence: found.Revision,
		Clusters: found.Clusters, Objects: found.Objects,
	})
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	source := backup.Source{Conn: links.store.Conn, Domain: links.store.Domain}
	if err := snapshot(ctx, w, source, store.DefaultStream, ""); err != nil {
		return err
	}
	fmt.Fprintf(report, "store %s, %d messages about objects, up to revision %d\n", found.Identity, found.Objects, found.Revision)
	for _, name := range links.names() {
		source := backup.Source{Conn: links.lattices[name], Domain: links.domain}
		err := snapshot(ctx, w, source, ledgerStream(name), name)
		if errors.Is(err, backup.ErrNoStream) {
			fmt.Fprintf(report, "lattice %s has no ledger\n", name)
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(report, "ledger of lattice %s\n", name)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	fmt.Fprintln(report, "not in it: what runs, leases, keys, and lattices in a NATS of their own that only host groups name")
	return nil
}

// ledgerStream is the stream under the bucket of a lattice.
func ledgerStream(lattice string) string { return "KV_" + ledger.Bucket(lattice) }

func snapshot(ctx context.Context, w *backup.Writer, from backup.Source, name, lattice string) error {
	return from.Snapshot(ctx, name, func(config, state json.RawMessage) (io.Writer, error) {
		return w, w.Stream(backup.Stream{Name: name, Lattice: lattice, Config: config, State: state})
	})
}

// lastOf is the last sequence of a stream's state.
func lastOf(state json.RawMessage) uint64 {
	var s struct {
		Last uint64 `json:"last_seq"`
	}
	if json.Unmarshal(state, &s) != nil {
		return 0
	}
	return s.Last
}

// describeBackup is a backup in one line.
func describeBackup(h backup.Header) string {
	return fmt.Sprintf("backup of %s by %s: store %s up to revision %d, %d messages about objects of %s",
		h.Time.Format(time.RFC3339), h.Program, h.Identity, h.LastSequence, h.Objects, strings.Join(h.Clusters, ", "))
}
