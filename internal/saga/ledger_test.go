package saga

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNewBounds(t *testing.T) {
	long := strings.Repeat("x", MaxName+1)
	manyKeys := slices.Repeat([]string{long[:MaxName]}, MaxKeys/MaxName+1)
	cases := map[string]struct {
		ops  []Op
		fits bool
	}{
		"nothing at all":                {nil, true},
		"no instances":                  {[]Op{{Name: "a"}}, true},
		"an empty list of keys":         {[]Op{{Name: "a", Keys: []string{}}}, true},
		"as many instances as fit":      {[]Op{{Name: "a", Count: MaxInstances}}, true},
		"one instance too many":         {[]Op{{Name: "a", Count: MaxInstances}, {Name: "b", Count: 1}}, false},
		"a count that overflows":        {[]Op{{Name: "a", Count: 1<<31 - 1}}, false},
		"a negative count":              {[]Op{{Name: "a", Count: -1}}, false},
		"as many operations as fit":     {make([]Op, MaxOps), true},
		"one operation too many":        {make([]Op, MaxOps+1), false},
		"a name that is too long":       {[]Op{{Name: long}}, false},
		"a key that is too long":        {[]Op{{Name: "a", Keys: []string{long}}}, false},
		"keys that are too long in all": {[]Op{{Name: "a", Keys: manyKeys}}, false},
		"a predecessor out of range":    {[]Op{{Name: "a", Preds: []Pred{{Op: 1}}}}, false},
		"a negative predecessor":        {[]Op{{Name: "a", Preds: []Pred{{Op: -1}}}}, false},
		"too many predecessors":         {[]Op{{Name: "a", Preds: make([]Pred, MaxPreds+1)}}, false},
	}
	for name, c := range cases {
		if _, err := New(1, start, Hash{}, 1, c.ops); (err == nil) != c.fits {
			t.Errorf("%s: fits is %t, and New says %v", name, c.fits, err)
		}
	}
}

func TestIndices(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 2}, Op{Name: "none"}, Op{Name: "b", Keys: []string{"x", "y", "z"}})
	var got []string
	for k := range l.Ops {
		for n := range int(l.Ops[k].Count) {
			i := l.Instance(k, n)
			if l.OpOf(i) != k {
				t.Errorf("instance %d is of operation %d, want %d", i, l.OpOf(i), k)
			}
			got = append(got, l.Ops[k].Name+"/"+l.Key(i))
		}
	}
	if diff := cmp.Diff([]string{"a/0", "a/1", "b/x", "b/y", "b/z"}, got); diff != "" {
		t.Error(diff)
	}
	if l.Find("b") != 2 || l.Find("c") != -1 {
		t.Errorf("Find gives %d and %d", l.Find("b"), l.Find("c"))
	}
}

func TestAttemptTimes(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1})
	row := func() []int32 { return []int32{int32(l.Attempts[0]), l.Starts[0], l.Begun[0], l.Ends[0], l.Retries[0]} }
	steps := []struct {
		reason string
		do     func() error
		want   []int32
	}{
		{"nothing happened yet", func() error { return nil }, []int32{0, None, None, None, None}},
		{"ordering counts the attempt", func() error { return l.Order(0, start+10) }, []int32{1, 10, None, None, None}},
		{"its time begins when it leaves the queue", func() error { l.Begin(0, start+25); return nil }, []int32{1, 10, 25, None, None}},
		{"it begins once only", func() error { l.Begin(0, start+30); return nil }, []int32{1, 10, 25, None, None}},
		{"a failed attempt is due again", func() error { return l.Postpone(0, start+60, "TimedOut", "") }, []int32{1, 10, 25, None, 60}},
		{"while it waits, nothing begins", func() error { l.Begin(0, start+30); return nil }, []int32{1, 10, 25, None, 60}},
		{"the second attempt has its own times", func() error { return l.Order(0, start+61) }, []int32{2, 61, None, None, None}},
		{"it begins", func() error { l.Begin(0, start+62); return nil }, []int32{2, 61, 62, None, None}},
		{"it ends", func() error { return l.Settle(0, Succeeded, start+70, "", "") }, []int32{2, 61, None, 70, None}},
		{"the way back has its own times", func() error { return l.Undo(0, start+80) }, []int32{2, 80, None, None, None}},
		{"it leaves the queue", func() error { l.Begin(0, start+81); return nil }, []int32{2, 80, 81, None, None}},
		{"and ends", func() error { return l.Settle(0, Undone, start+90, "", "") }, []int32{2, 80, None, 90, None}},
	}
	for _, s := range steps {
		must(t, s.do())
		if diff := cmp.Diff(s.want, row()); diff != "" {
			t.Fatalf("%s: %s", s.reason, diff)
		}
	}
}

func TestUndoNeedsAnOrder(t *testing.T) {
	for _, end := range []Phase{Failed, Cancelled} {
		l := mustNew(t, Op{Name: "a", Count: 1})
		must(t, l.Settle(0, end, start, "Invalid", "no"))
		if l.Ordered(0) || l.Undo(0, start) == nil || l.Settle(0, Irreversible, start, "", "") == nil {
			t.Errorf("%s, never ordered: it can be undone", end)
		}
		l = mustNew(t, Op{Name: "a", Count: 1})
		must(t, l.Order(0, start))
		must(t, l.Settle(0, end, start, "Invalid", "no"))
		if !l.Ordered(0) || l.Undo(0, start) != nil {
			t.Errorf("%s, ordered: it cannot be undone", end)
		}
	}
}

func TestAttemptsStopAtTheTop(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1})
	l.Attempts[0] = 65534
	for range 3 {
		must(t, l.Order(0, start))
		must(t, l.Postpone(0, start, "", ""))
	}
	if l.Attempts[0] != 65535 {
		t.Errorf("attempts are %d", l.Attempts[0])
	}
}

// TestHeldTimeDoesNotCount: the run's clock stands still while it is held, and an attempt's time while its child is queued.
func TestHeldTimeDoesNotCount(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1})
	must(t, l.Order(0, start+10))
	l.Begin(0, start+10)
	if !l.Hold(start+20) || l.Hold(start+25) || l.Clock(start+500) != 20 {
		t.Errorf("held at 20, the clock shows %d", l.Clock(start+500))
	}
	if !l.Resume(start+500) || l.Resume(start+501) || l.Clock(start+500) != 19 || l.Clock(start+510) != 29 {
		t.Errorf("it goes on at %d, and 10 s later at %d", l.Clock(start+500), l.Clock(start+510))
	}
	if !l.Rest(0, start+510) || l.Rest(0, start+511) || l.Spent[0] != 19 || l.Begun[0] != None {
		t.Errorf("back in its queue it has spent %d, since %d", l.Spent[0], l.Begun[0])
	}
	l.Begin(0, start+600)
	if l.Begun[0] != l.Clock(start+600) || l.ClockUnix(l.Begun[0]) != start+600 {
		t.Errorf("it goes on at %d on the clock, which is second %d", l.Begun[0], l.ClockUnix(l.Begun[0])-start)
	}
	if !l.Open(0, start+600) || l.Open(0, start+700) || l.Opened != l.Begun[0] || l.Ops[0].Opened != l.Begun[0] {
		t.Errorf("opened at %d and %d", l.Opened, l.Ops[0].Opened)
	}
}

// TestUndoTriesAgain: a failed try of undoing is followed by another one, and the way forward is remembered.
func TestUndoTriesAgain(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 2})
	for i, end := range []Phase{Failed, Succeeded} {
		must(t, l.Order(i, start))
		must(t, l.Settle(i, end, start+1, "", ""))
		must(t, l.Undo(i, start+2))
	}
	if l.Failures() != 1 || l.Outcomes[1] != Succeeded {
		t.Errorf("%d failed, and instance 1 was %s", l.Failures(), l.Outcomes[1])
	}
	must(t, l.PostponeUndo(0, start+60, "Unauthorized", "403"))
	if l.Phases[0] != Undoing || l.Retries[0] != 60 || l.Tries[0] != 1 {
		t.Errorf("%s, due at %d, try %d", l.Phases[0], l.Retries[0], l.Tries[0])
	}
	must(t, l.OrderUndo(0, start+60))
	if l.Attempts[0] != 2 || l.Tries[0] != 2 || l.Retries[0] != None || l.Starts[0] != 60 {
		t.Errorf("attempt %d, try %d, due at %d", l.Attempts[0], l.Tries[0], l.Retries[0])
	}
	must(t, l.Settle(0, UndoFailed, start+61, "Unauthorized", "403"))
	must(t, l.Settle(0, Undone, start+62, "", "")) // it went after all
	if l.Failures() != 1 || l.PostponeUndo(0, start, "", "") == nil || l.OrderUndo(0, start) == nil {
		t.Errorf("%d failed; what is undone is undone again", l.Failures())
	}
	must(t, l.Check())
}

// TestAsked: what was never ordered may wait for somebody's word; it is no order, and another try asks anew.
func TestAsked(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 2})
	must(t, l.Order(1, start))
	must(t, l.Ask(0, start+5))
	if !l.Asked(0) || l.Asked(1) || l.Ordered(0) || l.Starts[0] != 5 || l.Ask(1, start) == nil {
		t.Errorf("asked since %d and %d", l.Starts[0], l.Starts[1])
	}
	data, err := Encode(l)
	must(t, err)
	if read, err := Decode(data); err != nil || !read.Equal(l) || !read.Asked(0) {
		t.Errorf("it reads differently: %v", err)
	}
	must(t, l.Settle(0, Omitted, start+6, "", ""))
	if l.Asked(0) {
		t.Error("what was left out is still asked for")
	}
	must(t, l.Again(0))
	if l.Asked(0) {
		t.Error("another try is asked for without being so")
	}
	must(t, l.Ask(0, start+7))
	if l.Unask(0); l.Asked(0) {
		t.Error("it is still asked for")
	}
	must(t, l.Check())
}

// TestCompress: of a run that is over only outcomes stay.
func TestCompress(t *testing.T) {
	l := simulate(t, 10_000, 500, true, true)
	if l.Compress() == nil {
		t.Fatal("a run that is not over is compressed")
	}
	must(t, l.SetRun(RunSucceeded, start+100_000))
	before, err := Encode(l)
	must(t, err)
	phases := slices.Clone(l.Phases)
	must(t, l.Compress())
	after, err := Encode(l)
	must(t, err)
	if !slices.Equal(phases, l.Phases) || !l.Ordered(0) || !l.Compact || len(after) > 1024 || len(after) > len(before)/4 {
		t.Errorf("%d bytes of %d", len(after), len(before))
	}
}

func TestClock(t *testing.T) {
	l := mustNew(t)
	for unix, want := range map[int64]int32{start: 0, start + 7: 7, start - 7: 0, start + 1<<40: 1<<31 - 1} {
		if got := l.At(unix); got != want {
			t.Errorf("At(start%+d) = %d, want %d", unix-start, got, want)
		}
	}
	if l.Unix(None) != 0 || l.Unix(7) != start+7 {
		t.Errorf("Unix gives %d and %d", l.Unix(None), l.Unix(7))
	}
}

// TestCountsFollow: the counters always equal what counting gives; a refused step changes nothing; attempts never fall (I4).
func TestCountsFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, err := New(1, start, Hash{}, 1, drawOps(t))
		must(t, err)
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			if l.N() == 0 {
				return
			}
			before := l.Clone()
			if step(t, l) != nil && !l.Equal(before) {
				t.Fatal("a refused step changed the ledger")
			}
			fresh := l.Clone()
			fresh.recount()
			if l.total != fresh.total || !slices.Equal(l.counts, fresh.counts) || l.told != fresh.told {
				t.Fatalf("counters say %v, counting gives %v", l.total, fresh.total)
			}
			for i := range l.Phases {
				from, to := before.Phases[i], l.Phases[i]
				if l.Attempts[i] < before.Attempts[i] || from != to && !CanMove(from, to) && !CanRepeat(from, to) {
					t.Fatalf("instance %d went from %s to %s, attempts %d to %d", i, before.Phases[i], l.Phases[i], before.Attempts[i], l.Attempts[i])
				}
			}
			must(t, l.Check())
		}
	})
}

func TestCountsMeaning(t *testing.T) {
	c := Counts{Pending: 1, Running: 2, Retrying: 4, Succeeded: 8, Failed: 16, Skipped: 32, Omitted: 64, Cancelled: 128, Unknown: 256,
		Undoing: 512, Undone: 1024, UndoFailed: 2048, Irreversible: 4096}
	got := map[string]int32{"total": c.Total(), "settled": c.Settled(), "passed": c.Passed(), "missed": c.Missed(), "live": c.Live()}
	want := map[string]int32{"total": 8191, "settled": 8191 - 7, "passed": 40, "missed": 8191 - 7 - 40, "live": 2 + 4 + 512}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCloneIsApart: whatever happens to a clone does not show in what it was cloned from.
func TestCloneIsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLedger(t)
		before, err := Encode(l)
		must(t, err)
		c := l.Clone()
		if !c.Equal(l) {
			t.Fatal("a clone differs")
		}
		for range rapid.IntRange(1, 20).Draw(t, "more steps") {
			if c.N() > 0 {
				_ = step(t, c)
			}
		}
		for k := range c.Ops {
			_ = c.SetOutputs(k, map[string]string{"late": "1"})
		}
		_ = c.SetRun(RunFailed, start)
		was, err := Decode(before)
		must(t, err)
		if !l.Equal(was) || l.total != was.total || !slices.Equal(l.counts, was.counts) {
			t.Fatal("steps in a clone show in the original")
		}
	})
}

// TestClonesLearnReasonsApart: both go on from the same table of reasons.
func TestClonesLearnReasonsApart(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 5})
	for i, reason := range []string{"R1", "R2"} { // now the table has room to spare
		must(t, l.Settle(i, Failed, start, reason, ""))
	}
	c := l.Clone()
	must(t, l.Settle(2, Failed, start, "Mine", ""))
	must(t, c.Settle(2, Failed, start, "Yours", ""))
	if l.Reason(2) != "Mine" || c.Reason(2) != "Yours" {
		t.Errorf("the reasons are %q and %q", l.Reason(2), c.Reason(2))
	}
}

func TestMessagesAreCut(t *testing.T) {
	for name, in := range map[string]string{
		"long": strings.Repeat("x", 5000), "two-byte letters": strings.Repeat("é", 3000), "broken in places": strings.Repeat("x\xff", 3000),
	} {
		if out := cut(in); len(out) > MaxMessage || len(out) < MaxMessage-8 || !utf8.ValidString(out) || !strings.HasSuffix(out, "…") {
			t.Errorf("%s: cut to %d bytes, valid %t", name, len(out), utf8.ValidString(out))
		}
	}
	if cut("short") != "short" {
		t.Error("a short message was changed")
	}
}
