// Command runner runs the project's stages one after the other, shows how long each took against its budget, and ends
// with a line that says what passed. `make check`, `make test` and `make up` are names for it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fail(fmt.Errorf("name what to run: %s", strings.Join(names(), ", ")))
	}
	name := os.Args[1]
	stages, known := plans[name]
	if !known {
		fail(fmt.Errorf("there is no %q; known are %s", name, strings.Join(names(), ", ")))
	}
	if err := runAll(ctx, journey{plan: name, stages: stages(os.Args[2:]), limit: limits[name], missing: notYet[name]}); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "runner:", err)
	os.Exit(1)
}
