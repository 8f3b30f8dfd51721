// Command stranger makes the visit that its argument describes, and prints the report, both as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/trellis-operator/trellis/test/e2e/strangers"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stranger:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("the one argument is the visit; there are %d", len(args))
	}
	var visit strangers.Visit
	if err := json.Unmarshal([]byte(args[0]), &visit); err != nil {
		return fmt.Errorf("the argument is no visit: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(visit.Do(context.Background()))
}
