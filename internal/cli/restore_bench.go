package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/backup"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
)

// bench is a server of this process in which a backup is unpacked: its snapshots are proven before anything is changed,
// and their messages can be read.
type bench struct {
	dir    string
	server *natsd.Server
	conn   *nats.Conn
}

func openBench(ctx context.Context) (*bench, error) {
	dir, err := os.MkdirTemp("", "trellis-restore-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder to unpack the backup: %w", err)
	}
	b := &bench{dir: dir}
	if b.server, err = natsd.Start(natsd.Options{Port: natsd.RandomPort, StoreDir: dir}); err == nil {
		b.conn, err = natsconn.Connect(ctx, natsconn.Config{URLs: []string{b.server.ClientURL()}, Name: "trellis-restore"})
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("start a server to unpack the backup: %w", err)
	}
	return b, nil
}

func (b *bench) close() {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
	}
	_ = os.RemoveAll(b.dir) // in the temporary folder
}

// unpack restores every snapshot into the bench.
func (r *restoring) unpack(ctx context.Context, b *bench) error {
	reader, err := backup.NewReader(r.file)
	if err != nil {
		return err
	}
	for {
		stream, snapshot, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			stream, err = stream.Standalone()
		}
		if err == nil {
			err = backup.Source{Conn: b.conn}.Restore(ctx, stream, snapshot)
		}
		if err != nil {
			return err
		}
	}
}
