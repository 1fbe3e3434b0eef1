package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
)

// TestOperatorDiesDuringStart kills the starting client (its whole process group, with SIGKILL) after a random time, and lets a
// second client take the run up by its id. Whatever the moment, the script runs exactly once and ends well.
func TestOperatorDiesDuringStart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	script := runner.Script{
		Body:  `echo x >>"$KEELWAY_ROOT/ran.$(basename "$KEELWAY_RUN")"; wc -c <inputs/big; echo "v=$VALUE" >>outputs`,
		Env:   map[string]string{"VALUE": "kept"},
		Files: map[string][]byte{"big": bytes.Repeat([]byte("0123456789abcdef"), 1<<16)},
	}
	killed, seen := 0, map[runner.State]int{}
	const runs = 60
	// The longest life given to a client follows what a start takes here and now, so that some are killed and some are not.
	longest := 60 * time.Millisecond
	for i := range runs {
		id := fmt.Sprintf("r%d", i)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(longest))))
		err := runner.Start(ctx, m, id, script)
		longest = longest * 9 / 10
		if err != nil {
			killed++
			longest = longest * 4 / 3
			if fault.ClassOf(err) != fault.Retry {
				t.Fatalf("got %v, want Retry", err)
			}
		}
		cancel()
		second := m.dial(t)
		var status runner.Status
		if status, err = runner.Poll(t.Context(), second, id); err != nil {
			t.Fatal(err)
		}
		seen[status.State]++
		if status.State == runner.Missing {
			if err = runner.Start(t.Context(), second, id, script); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range runs {
		id := fmt.Sprintf("r%d", i)
		var got runner.Status
		eventually(t, "run "+id+" ends", func() bool {
			// A killed client's last processes may still have looked alive above, and have begun nothing: whoever polls starts again.
			if got = m.poll(t, id); got.State == runner.Missing {
				m.start(t, id, script)
			}
			return got.State == runner.Exited
		})
		if ran := m.read(t, "ran."+id); got.Code != 0 || ran != "x\n" || strings.TrimSpace(got.Tail) != "1048576" || got.Outputs["v"] != "kept" {
			t.Fatalf("run %s: %+v, ran %q", id, got, ran)
		}
	}
	t.Logf("%d of %d starts were killed; the second client found %v", killed, runs, seen)
	if killed == 0 || killed == runs {
		t.Fatalf("%d of %d starts were killed: the test did not test", killed, runs)
	}
}

// TestTornUpload cuts the upload at every kind of place; what is left is nothing, and the next start completes it.
func TestTornUpload(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	script := runner.Script{Body: "cat inputs/a", Files: map[string][]byte{"a": []byte("whole\n")}}
	torn := &tearing{Transport: m, keep: -1}
	if err := runner.Start(t.Context(), torn, "whole", script); err != nil {
		t.Fatal(err)
	}
	size := torn.sent
	for cut := 0; cut < size-1024; cut += 512 { // an archive ends in two empty blocks, and before them stands "complete"
		id := fmt.Sprintf("r%d", cut)
		torn.keep = cut
		if err := runner.Start(t.Context(), torn, id, script); err == nil {
			if cut < size-1024-512 {
				t.Fatalf("an upload of %d of %d bytes was taken for whole", cut, size)
			}
		} else if got := m.poll(t, id); got.State != runner.Missing {
			t.Fatalf("after a torn upload: %+v", got)
		}
		if cut%2048 != 0 {
			continue // every fourth is taken up again
		}
		if got := m.run(t, id, script); got.Code != 0 || got.Tail != "whole\n" {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
	}
}

// tearing hands on only the first keep bytes of a command's input; a negative keep hands on all.
type tearing struct {
	transport.Transport
	keep, sent int
}

func (tr *tearing) Exec(ctx context.Context, cmd transport.Command) (transport.Result, error) {
	tr.sent = len(cmd.Stdin)
	if tr.keep >= 0 {
		cmd.Stdin = cmd.Stdin[:tr.keep]
	}
	return tr.Transport.Exec(ctx, cmd)
}

func TestStartFinishesWhatATornStartLeft(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	// A start that died between filling the directory and handing it to a supervisor: as "ready" with nobody alive.
	m.start(t, "holder", runner.Script{Body: "sleep 600", Mutating: true})
	m.await(t, "holder", runner.Running)
	script := runner.Script{Body: "cat inputs/a", Files: map[string][]byte{"a": []byte("whole\n")}, Mutating: true}
	m.start(t, "r1", script)
	m.await(t, "r1", runner.Waiting)
	eventually(t, "the supervisor is there", func() bool { info, err := os.Stat(m.path("r1", "supervisor")); return err == nil && info.Size() > 0 })
	kill(t, m.path("r1", "supervisor"))
	m.await(t, "r1", runner.Missing)
	m.start(t, "r1", script)
	m.await(t, "r1", runner.Waiting)
	if err := runner.Stop(t.Context(), m, "holder"); err != nil {
		t.Fatal(err)
	}
	if got := m.await(t, "r1", runner.Exited); got.Code != 0 || got.Tail != "whole\n" {
		t.Fatalf("got %+v", got)
	}
}

func TestManyClientsStartOneRun(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	var group sync.WaitGroup
	for range 12 {
		client := m.dial(t)
		group.Go(func() {
			if err := runner.Start(t.Context(), client, "r1", runner.Script{Body: `echo x >>"$KEELWAY_ROOT/ran"`}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	m.await(t, "r1", runner.Exited)
	if ran := m.read(t, "ran"); ran != "x\n" {
		t.Fatalf("ran %d times", strings.Count(ran, "x"))
	}
}
