package saga

import (
	"fmt"
	"strings"
	"testing"
)

func TestStory(t *testing.T) {
	order := func(l *Ledger, instances ...int) {
		for _, i := range instances {
			must(t, l.Order(i, start))
		}
	}
	cases := map[string]struct {
		reason string
		do     func(*Ledger)
		want   string
	}{
		"quiet": {"nothing went wrong", func(l *Ledger) {
			order(l, 0)
			must(t, l.Settle(0, Succeeded, start, "", ""))
		}, ""},
		"latest attempt": {"until something fails for good, the last attempt is what people ask about", func(l *Ledger) {
			order(l, 0, 1)
			must(t, l.Postpone(0, start, "TimedOut", "first"))
			must(t, l.Postpone(1, start, "Invalid", "second"))
		}, "Invalid: second"},
		"first failure": {"the first failure is the root cause; what fails after it does not replace it", func(l *Ledger) {
			order(l, 0, 1, 2)
			must(t, l.Postpone(0, start, "TimedOut", "attempt"))
			must(t, l.Settle(1, Failed, start, "QuotaExceeded", "cause"))
			must(t, l.Settle(2, Failed, start, "Invalid", "later"))
			must(t, l.Settle(0, Failed, start, "Invalid", "later still"))
		}, "QuotaExceeded: cause"},
		"failure over omission": {"an omission is told only while nothing worse is known", func(l *Ledger) {
			must(t, l.Settle(2, Omitted, start, "DependencyNotReady", "omitted"))
			order(l, 0)
			must(t, l.Settle(0, Unknown, start, "OutcomeUnknown", "lost"))
		}, "OutcomeUnknown: lost"},
		"omission does not hide": {"an omission later on does not hide a failed attempt", func(l *Ledger) {
			order(l, 0)
			must(t, l.Postpone(0, start, "TimedOut", "attempt"))
			must(t, l.Settle(2, Omitted, start, "DependencyNotReady", "omitted"))
		}, "TimedOut: attempt"},
		"forgiven": {"when all passed after all, the failed attempts are history", func(l *Ledger) {
			order(l, 0, 1)
			must(t, l.Postpone(0, start, "TimedOut", "attempt"))
			order(l, 0)
			must(t, l.Settle(0, Succeeded, start, "", ""))
			must(t, l.Settle(1, Succeeded, start, "", ""))
			must(t, l.Settle(2, Skipped, start, "", ""))
		}, ""},
		"undo keeps the cause": {"a failed undo must not hide why the run failed", func(l *Ledger) {
			order(l, 0)
			must(t, l.Settle(0, Failed, start, "ScriptFailed", "cause"))
			must(t, l.SetRun(RunUndoing, start))
			must(t, l.Undo(0, start))
			must(t, l.Settle(0, UndoFailed, start, "TimedOut", "left over"))
		}, "ScriptFailed: cause"},
		"undo of a success": {"where nothing had failed, a failed undo is the story", func(l *Ledger) {
			order(l, 0)
			must(t, l.Settle(0, Succeeded, start, "", ""))
			must(t, l.SetRun(RunUndoing, start))
			must(t, l.Undo(0, start))
			must(t, l.Settle(0, UndoFailed, start, "TimedOut", "left over"))
		}, "TimedOut: left over"},
	}
	for name, c := range cases {
		l := mustNew(t, Op{Name: "a", Count: 3})
		c.do(l)
		got := strings.TrimPrefix(l.Ops[0].Reason+": "+l.Ops[0].Message, ": ")
		if got != c.want {
			t.Errorf("%s: the story is %q, want %q, because %s", name, got, c.want, c.reason)
		}
	}
}

// A skipped instance that settles last must also let the story go.
func TestSkipForgivesToo(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 2})
	must(t, l.Order(0, start))
	must(t, l.Postpone(0, start, "TimedOut", "attempt"))
	must(t, l.Order(0, start))
	must(t, l.Settle(0, Succeeded, start, "", ""))
	must(t, l.Settle(1, Skipped, start, "", ""))
	if l.Ops[0].Reason != "" || l.Reason(0) != "" {
		t.Errorf("the story is %q, the instance's %q", l.Ops[0].Reason, l.Reason(0))
	}
}

func TestReasonsAreBounded(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: MaxReasons + 1})
	for i := range MaxReasons {
		must(t, l.Settle(i, Failed, start, fmt.Sprintf("Reason%d", i), ""))
	}
	if err := l.Settle(MaxReasons, Failed, start, "OneMore", ""); err == nil || l.Phases[MaxReasons] != Pending {
		t.Errorf("one more reason: %v, and the phase is %s", err, l.Phases[MaxReasons])
	}
	must(t, l.Settle(MaxReasons, Failed, start, "Reason7", ""))
	if got := l.Reason(MaxReasons); got != "Reason7" {
		t.Errorf("the reason reads %q", got)
	}
	must(t, l.Check())
	fresh := mustNew(t, Op{Name: "a", Count: 1})
	if err := fresh.Settle(0, Failed, start, strings.Repeat("x", 65), ""); err == nil {
		t.Error("a reason of 65 bytes is kept")
	}
}

func TestMessagesAreBounded(t *testing.T) {
	ops := make([]Op, MaxMessages+2)
	for k := range ops {
		ops[k] = Op{Name: fmt.Sprint(k), Count: 1}
	}
	l := mustNew(t, ops...)
	for i := range ops {
		must(t, l.Settle(i, Failed, start, "Invalid", "why"))
	}
	if last := l.Ops[MaxMessages]; last.Reason != "Invalid" || last.Message != "" || l.Ops[MaxMessages-1].Message != "why" {
		t.Errorf("operation %d says %q, %q", MaxMessages, last.Reason, last.Message)
	}
}

func TestOutputsAreFrozenAndBounded(t *testing.T) {
	l := mustNew(t, make([]Op, 20)...)
	must(t, l.SetOutputs(0, map[string]string{"k": strings.Repeat("v", MaxOutputs-1)}))
	if l.SetOutputs(0, map[string]string{"k": "other"}) == nil {
		t.Error("outputs change after they were frozen")
	}
	if l.SetOutputs(1, map[string]string{"k": strings.Repeat("v", MaxOutputs)}) == nil {
		t.Error("outputs of an operation are not bounded")
	}
	must(t, l.SetOutputs(1, map[string]string{}))
	if l.Ops[1].Outputs != nil {
		t.Error("no outputs are not nil")
	}
	for k := 2; k < 17; k++ {
		must(t, l.SetOutputs(k, map[string]string{"k": strings.Repeat("v", MaxOutputs-1)}))
	}
	if l.SetOutputs(18, map[string]string{"k": "one byte too many"}) == nil {
		t.Error("outputs of a workflow are not bounded")
	}
	must(t, l.Check())
}
