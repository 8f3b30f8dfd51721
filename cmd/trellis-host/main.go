// Command trellis-host is a small wasmCloud host: it runs WebAssembly components and serves HTTP to them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"

	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/engine"
)

func main() {
	// wasmtime resolves the names of every frame of every trap when one of these is set, which takes 20 to 60 ms each.
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		_ = os.Unsetenv(name)
	}
	os.Exit(run(os.Args[1:], os.Environ(), os.Stderr))
}

// compileCommand makes this program a compiler: it reads a component from standard input and puts it into the cache
// whose folder is the only other argument.
const compileCommand = "compile"

func run(args, environ []string, stderr io.Writer) int {
	if len(args) == 2 && args[0] == compileCommand {
		if err := compile(args[1], os.Stdin); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	config, settings, err := wasmhost.ParseOptions(args, environ, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "trellis-host:", err)
		return 2
	}
	config.Log = newLog(stderr, settings)
	for _, name := range settings.Ignored {
		config.Log.Info("A setting of wasmCloud's host has no effect in trellis-host", "setting", name)
	}
	for _, name := range settings.Unknown {
		config.Log.Info("A setting is not known and has no effect", "setting", name)
	}
	if err := serve(config, settings); err != nil {
		config.Log.Error(err, "The host ends")
		fmt.Fprintln(stderr, "trellis-host:", err)
		return 1
	}
	return 0
}

func serve(config wasmhost.Config, settings wasmhost.Settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cacheDir := settings.CacheDir
	if cacheDir == "" {
		cacheDir = filepath.Join(os.TempDir(), fmt.Sprintf("trellis-host-%d", os.Getuid()))
	}
	options := engine.Options{CacheDir: cacheDir}
	if self, err := os.Executable(); err == nil {
		options.Compiler = []string{self, compileCommand, cacheDir}
	}
	runtime, err := engine.New(options)
	if err != nil {
		return err
	}
	config.Engine = runtime
	host, err := wasmhost.New(config)
	if err != nil {
		return err
	}
	return host.Run(ctx)
}

func compile(cacheDir string, from io.Reader) error {
	code, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	runtime, err := engine.New(engine.Options{CacheDir: cacheDir})
	if err != nil {
		return err
	}
	defer runtime.Close()
	return runtime.Compile(code)
}

func newLog(out io.Writer, settings wasmhost.Settings) logr.Logger {
	level := map[string]slog.Level{
		"error": slog.LevelError, "warn": slog.LevelWarn, "debug": slog.LevelDebug, "trace": slog.LevelDebug - 4,
	}[strings.ToLower(settings.LogLevel)] // anything else is info, which is zero
	options := &slog.HandlerOptions{Level: level}
	if settings.Structured {
		return logr.FromSlogHandler(slog.NewJSONHandler(out, options))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(out, options))
}
