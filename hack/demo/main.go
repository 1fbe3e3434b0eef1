// Command demo shows Keelway's main job on real parts, on a machine that has Go alone: a control plane, the operator, three servers,
// an etcd cluster across them. It knows how these are started, watched and cleared away; it must not do any of the operator's work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == guardVerb {
		if guard(os.Args[2]) != nil {
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "demo: there are no arguments; the environment may hold CRASH=1, FAIL=1, KEEP=1 and DRIVER=Docker")
		os.Exit(2)
	}
	os.Exit(demo())
}

// interrupted is a signal as the cause of a context's end.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "interrupted" }

// demo runs the whole and returns the exit code: 0 when all went as it should, 128 and the signal's number when interrupted.
func demo() int {
	out := newScreen(os.Stdout, os.Getenv)
	wanted, err := readSettings(os.Getenv)
	if err != nil {
		out.failure(err)
		return 2
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		cancel(interrupted{(<-signals).(syscall.Signal)})
		signal.Stop(signals) // a second one ends us at once, and the guard clears up
	}()
	err = newStory(out, wanted).run(ctx)
	var by interrupted
	switch {
	case err == nil:
		return 0
	case errors.As(context.Cause(ctx), &by) && ctx.Err() != nil:
		return 128 + int(by.signal)
	}
	return 1
}
