package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trellis-operator/trellis/internal/apiserver/openapi"
	"github.com/trellis-operator/trellis/internal/schema"
)

func schemaCommand() *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Write the JSON Schemas of Trellis's kinds, for kubeconform and editors",
		Example: `  trellis schema application > application.json
  trellis schema --output-dir schemas
  kubeconform -schema-location default \
    -schema-location 'schemas/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json' manifests/`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeSchemas(cmd.OutOrStdout(), directory, args)
		},
	}
	cmd.Flags().StringVar(&directory, "output-dir", "", "write a file for each kind below this directory, which is made if needed (default: print)")
	return cmd
}

// writeSchemas prints the schema of one kind, or writes all of them, or that of one kind, below a directory.
func writeSchemas(out io.Writer, directory string, kinds []string) error {
	documents, err := schema.Documents(openapi.Definitions)
	if err != nil {
		return err
	}
	if len(kinds) > 0 {
		if documents, err = only(documents, kinds[0]); err != nil {
			return err
		}
	}
	if directory == "" && len(documents) > 1 {
		return fmt.Errorf("say which kind to print (%s), or write all of them with --output-dir DIR", kindsOf(documents))
	}
	for _, d := range documents {
		if directory == "" {
			_, err := out.Write(d.JSON)
			return err
		}
		file := filepath.Join(directory, filepath.FromSlash(d.File()))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("make the directory of the schema of %s: %w", d.Kind, err)
		}
		if err := os.WriteFile(file, d.JSON, 0o644); err != nil {
			return fmt.Errorf("write the schema of %s: %w", d.Kind, err)
		}
		if _, err := fmt.Fprintln(out, file); err != nil {
			return err
		}
	}
	return nil
}

func only(documents []schema.Document, kind string) ([]schema.Document, error) {
	for _, d := range documents {
		if strings.EqualFold(d.Kind, kind) {
			return []schema.Document{d}, nil
		}
	}
	return nil, fmt.Errorf("there is no kind %q; there are %s", kind, kindsOf(documents))
}

func kindsOf(documents []schema.Document) string {
	names := make([]string, 0, len(documents))
	for _, d := range documents {
		names = append(names, d.Kind)
	}
	return strings.Join(names, ", ")
}
