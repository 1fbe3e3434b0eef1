// Package transporttest knows what every transport must do, as suites that run against each of them.
// It must not know any driver: a driver's own test opens it and hands it over.
package transporttest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// Open returns a fresh transport to one machine; the suite closes it.
type Open func(t *testing.T) transport.Transport

// Contract holds for every transport, also for one that runs nothing.
func Contract(t *testing.T, open Open) {
	t.Run("refuses what no process can be given", func(t *testing.T) { refuses(t, opened(t, open)) })
	t.Run("does not start after the context's end", func(t *testing.T) { afterTheEnd(t, opened(t, open)) })
	t.Run("serves 32 callers at once", func(t *testing.T) { together(t, opened(t, open)) })
	t.Run("closes twice", func(t *testing.T) {
		tr := open(t)
		for range 2 {
			if err := tr.Close(); err != nil {
				t.Fatalf("closing: %v", err)
			}
		}
	})
}

func opened(t *testing.T, open Open) transport.Transport {
	t.Helper()
	tr := open(t)
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

func refuses(t *testing.T, tr transport.Transport) {
	cases := map[string]struct {
		reason string
		cmd    transport.Command
	}{
		"no program":       {"there is nothing to run", transport.Command{}},
		"empty program":    {"there is nothing to run", transport.Command{Argv: []string{""}}},
		"NUL in argument":  {"execve cannot carry it, and a cut argument is another argument", transport.Command{Argv: []string{"true", "a\x00b"}}},
		"NUL in a value":   {"as above", transport.Command{Argv: []string{"true"}, Env: map[string]string{"A": "a\x00b"}}},
		"= in a name":      {"it would set another variable", transport.Command{Argv: []string{"true"}, Env: map[string]string{"A=B": "c"}}},
		"empty name":       {"it would set none", transport.Command{Argv: []string{"true"}, Env: map[string]string{"": "c"}}},
		"newline in name":  {"a shell could not read it", transport.Command{Argv: []string{"true"}, Env: map[string]string{"A\nB": "c"}}},
		"digit leads name": {"a shell could not read it", transport.Command{Argv: []string{"true"}, Env: map[string]string{"1A": "c"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := tr.Exec(t.Context(), tc.cmd)
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
				t.Fatalf("got %v, want Terminal/Invalid: %s", err, tc.reason)
			}
		})
	}
}

func afterTheEnd(t *testing.T, tr transport.Transport) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tr.Exec(ctx, transport.Command{Argv: []string{"true"}})
	if err == nil || fault.ClassOf(err) != fault.Retry || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want a Retry that wraps context.Canceled: nothing has run, so nothing is unknown", err)
	}
}

// together asks for facts, the one command that every transport answers.
func together(t *testing.T, tr transport.Transport) {
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			facts, err := transport.ReadFacts(t.Context(), tr)
			if err != nil || facts.Arch == "" {
				t.Errorf("got %+v, %v", facts, err)
			}
		})
	}
	group.Wait()
}
