package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// TestGraphs: what the loads are called is what they are, and the API server admits them.
func TestGraphs(t *testing.T) {
	deep := map[string]func(n int) int{
		"layers": func(int) int { return 10 }, "chain": func(n int) int { return n }, "fan": func(int) int { return 2 },
		"diamonds": func(n int) int { return (n + 4) / 5 * 2 },
	}
	for _, shape := range shapes {
		for _, n := range inlineSizes {
			g := shape.build(n)
			if len(g) != n {
				t.Errorf("%s of %d has %d nodes", shape.name, n, len(g))
			}
			for i, before := range g {
				if len(before) > 16 || len(slices.Compact(slices.Sorted(slices.Values(before)))) != len(before) {
					t.Fatalf("%s of %d: node %d depends on %v", shape.name, n, i, before)
				}
				for _, b := range before {
					if b < 0 || b >= i {
						t.Fatalf("%s of %d: node %d depends on %d, which does not come before", shape.name, n, i, b)
					}
				}
			}
			if want, known := deep[shape.name]; known && g.depth() != want(n) {
				t.Errorf("%s of %d is %d deep, want %d", shape.name, n, g.depth(), want(n))
			}
		}
	}
}

// TestFloor: the floor is never more than what must be written.
func TestFloor(t *testing.T) {
	for name, tc := range map[string]struct {
		floor floor
		want  int
	}{
		"inline":   {floor{workflows: 1, waves: 1}, 4},
		"many":     {floor{workflows: 1000, waves: 1}, 4000},
		"children": {floor{workflows: 1, waves: 10, children: 1000, writes: 3}, 3013},
	} {
		if got := tc.floor.necessary(); got != tc.want {
			t.Errorf("%s: %d necessary writes, want %d", name, got, tc.want)
		}
	}
}

// TestFloorsLedger: the floor writes as many bytes as a ledger of that workflow has.
func TestFloorsLedger(t *testing.T) {
	sizes := map[string]int{}
	for _, l := range loads(func(string) bool { return true }) {
		for _, w := range l.workflows("bench") {
			data, err := ledgerOf(w)
			if err != nil {
				t.Errorf("%s: %v", l.name, err)
			}
			sizes[l.name] = len(data)
		}
	}
	if small, large := sizes["chain-100-1ms"], sizes["chain-5000-1ms"]; small == 0 || large < 10*small {
		t.Errorf("a ledger of 100 operations has %d bytes, one of 5000 has %d", small, large)
	}
}

// TestBusyAndSmallMachinesAreRefused: a number that is about somebody else is not measured.
func TestBusyAndSmallMachinesAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		machine machine
		says    string
	}{
		"quiet": {machine{memory: 8192, needed: 4096, busy: 0.1}, ""},
		"busy":  {machine{memory: 8192, needed: 4096, busy: 0.9}, "0.90 processors busy"},
		"small": {machine{memory: 1024, needed: 4096}, "need 4096 MiB"},
	} {
		err := tc.machine.fit()
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-only", "("}, {"extra"}, {"-only", "no such load"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

// TestLatencies: an operation is late from the end of the last one before it.
func TestLatencies(t *testing.T) {
	begun := time.Unix(1_000_000, 0)
	w := &watcher{
		made: map[string]time.Time{"n0": begun, "n1": begun, "n2": begun.Add(5 * time.Second)},
		done: map[string]time.Time{"n0": begun.Add(time.Second), "n1": begun.Add(3 * time.Second)},
	}
	if got := w.latencies([]*v1alpha1.BatchWorkflow{one(waits(graph{nil, nil, {0, 1}}, 0))[0]}); !slices.Equal(got, []time.Duration{2 * time.Second}) {
		t.Errorf("latencies = %v, want 2s once", got)
	}
}

// TestTargets: each speaks of a load that there is, and is missed only above its bound.
func TestTargets(t *testing.T) {
	all := loads(func(string) bool { return true })
	for _, target := range targets {
		if !slices.ContainsFunc(all, func(l load) bool { return l.name == target.load }) {
			t.Errorf("there is no load %s", target.load)
		}
	}
	l := loads(func(name string) bool { return name == "layers-1000-0s" })[0]
	for wall, want := range map[time.Duration]string{500 * time.Millisecond: "met", 510 * time.Millisecond: "missed"} {
		b := newBook([]load{l}, machine{})
		b.add(l, figures{wall: wall, floor: time.Second})
		if got := b.verdicts(); len(got) != 1 || got[0][4] != want {
			t.Errorf("%s: %v, want %s", wall, got, want)
		}
		if got := b.reasons(); len(got) != map[string]int{"missed": 1}[want] {
			t.Errorf("%s: it is %s because of %q", wall, want, got)
		}
	}
}
