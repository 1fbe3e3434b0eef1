// Command bench measures how fast the operator runs workflows on a real API server, and beside it, in the same run, how fast a bare
// client makes the writes that the same work cannot do without: the floor. It knows the operator as a program and a cluster as people
// see it; it must not know how the operator works inside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// settings are what a person can ask for.
type settings struct {
	rounds int
	only   *regexp.Regexp
	out    string
	list   bool
	force  bool
	// profiles is a directory; "": none are written.
	profiles string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, complaints io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&s.rounds, "rounds", 5, "how often each load is measured, in turn with the others and with its floor")
	only := flags.String("only", "", "regular expression: loads with such a name alone")
	flags.StringVar(&s.out, "out", "", "file that the results are written to as Markdown, besides being printed")
	flags.BoolVar(&s.list, "list", false, "print the names of the loads and end")
	flags.BoolVar(&s.force, "force", false, "measure although the machine is busy or small: the table says so")
	flags.StringVar(&s.profiles, "profiles", "", "directory that CPU profiles of the operator and of the API server are written to, one each for every load: the numbers suffer")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("--only: %w", err)
	}
	if s.rounds < 1 || s.rounds > 100 {
		return s, fmt.Errorf("--rounds: %d is not between 1 and 100", s.rounds)
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: there are flags only", flags.Arg(0))
	}
	return s, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	s, err := parse(args, progress)
	if err != nil {
		return err
	}
	chosen := loads(s.only.MatchString)
	if len(chosen) == 0 {
		return fmt.Errorf("--only: no load is called like %q; --list names them", s.only)
	}
	if s.list {
		for _, l := range chosen {
			fmt.Fprintf(out, "%-28s %s\n", l.name, l.about)
		}
		return nil
	}
	machine, err := lookAround(chosen)
	if err == nil && !s.force {
		err = machine.fit()
	}
	if err != nil {
		return err
	}
	r, err := newRig(ctx, progress)
	if err != nil {
		return err
	}
	defer r.close()
	r.profiles = s.profiles
	if err := r.warm(ctx); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	book := newBook(chosen, machine)
	err = book.fill(ctx, r, s, progress)
	fmt.Fprint(out, book.table()) // what was measured until then is worth its time
	return err
}

// fill measures all loads, round by round, and writes the page after each round: the rounds of an interrupted bench are kept.
func (b *book) fill(ctx context.Context, r *rig, s settings, progress io.Writer) error {
	for round := range s.rounds {
		for _, l := range b.loads {
			fmt.Fprintf(progress, "bench: %s: round %d of %d: %s\n", time.Now().Format(time.TimeOnly), round+1, s.rounds, l.name)
			if err := b.measure(ctx, r, l); err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
		}
		if s.out == "" {
			continue
		}
		if err := os.WriteFile(s.out, []byte(b.page(r.versions())), 0o644); err != nil {
			return err
		}
	}
	return nil
}
