// Command debian makes real Debian servers possible on this machine (up), or runs a command while they are (run -- command …).
// It must not know what the command does with them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/keelway/keelway/hack/debian"
)

func main() { os.Exit(run(os.Args[1:])) }

// run returns 3 where this machine lacks something, 2 for a wrong call, otherwise the command's own exit code.
func run(args []string) int {
	switch {
	case len(args) == 1 && args[0] == "up":
	case len(args) > 2 && args[0] == "run" && args[1] == "--":
	default:
		fmt.Fprintln(os.Stderr, "debian: want `up`, or `run -- command …`")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log, where := openLog()
	engine, err := debian.StartEngine(ctx, log)
	if err != nil {
		return failed(err, where)
	}
	image, err := debian.Image(ctx, os.Stderr)
	if err != nil {
		engine.Stop()
		return failed(err, where)
	}
	if args[0] == "up" {
		fmt.Printf("debian: the Docker Engine answers, and it has the image %s\n", image)
		return 0
	}
	defer engine.Stop()
	command := exec.CommandContext(ctx, args[2], args[3:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Env = append(os.Environ(), "KEELWAY_REQUIRE_REAL=1", "KEELWAY_DEBIAN_IMAGE="+image)
	err = command.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return failed(err, where)
	}
	return 0
}

func failed(err error, where string) int {
	fmt.Fprintf(os.Stderr, "debian: %v (the Engine's log: %s)\n", err, where)
	if errors.Is(err, debian.ErrLacking) {
		return 3
	}
	return 1
}

// openLog is where an Engine that is started here writes to.
func openLog() (io.Writer, string) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("keelway-dockerd-%d.log", os.Getuid()))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return io.Discard, "none"
	}
	return file, path
}
