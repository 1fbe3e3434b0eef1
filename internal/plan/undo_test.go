package plan

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

var (
	gone    = Sight{Gone: true}
	leaving = Sight{Deleting: true, Asked: 1, Answered: 1}
	denied  = Sight{Deleting: true, Stalled: true, Asked: 1, Answered: 1, Reason: "Unauthorized", Message: "403: not allowed to delete it"}
)

func script(name, more string) string {
	return `{name: ` + name + `, type: Command, command: {script: "true", target: {server: s}}` + more + `}`
}

// TestRollbackPolicy: the operation that failed decides, and what it does not say the workflow says.
func TestRollbackPolicy(t *testing.T) {
	cases := map[string]struct {
		workflow, a, b string
		failed         string
		want           saga.RunPhase
	}{
		"nothing said":                 {"", "", "", "b/0", saga.RunFailed},
		"the workflow's default":       {"Rollback", "", "", "b/0", saga.RunUndoing},
		"the operation against it":     {"Rollback", "", "Fail", "b/0", saga.RunFailed},
		"the operation for it":         {"Fail", "", "Rollback", "b/0", saga.RunUndoing},
		"only that of who failed":      {"Fail", "Rollback", "Fail", "b/0", saga.RunFailed},
		"one of two that failed is it": {"Fail", "Rollback", "Fail", "a/0 b/0", saga.RunUndoing},
	}
	for name, c := range cases {
		policy := func(p string) string {
			if p == "" {
				return ""
			}
			return ", onFailure: " + p
		}
		spec := ops(server("a", policy(c.a)), server("b", policy(c.b)))
		if c.workflow != "" {
			spec = "onFailure: " + c.workflow + "\n" + spec
		}
		s := newStage(t, spec)
		s.see("a/0", ready).see("b/0", ready)
		for _, failed := range strings.Fields(c.failed) {
			s.see(failed, stalled(1))
		}
		if s.at(time.Second); s.l.Phase != c.want {
			t.Errorf("%s: %s, want %s", name, s.l.Phase, c.want)
		}
	}
}

func TestUndo(t *testing.T) {
	chain := "onFailure: Rollback\n" + ops(server("a", ""), server("b", ", dependsOn: [{operation: a}]"), server("c", ", dependsOn: [{operation: b}]"))
	cases := map[string]struct {
		why  string
		spec string
		play func(s *stage)
	}{
		"in reverse": {"a server goes after what is on it, when that is confirmed to be gone", chain, func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", ready).at(2).see("c/0", stalled(1)).at(3).want("Undoing: a/0 Succeeded, b/0 Succeeded, c/0 Undoing")
			if actions := Act(s.w, s.l, s.sights); len(actions) != 1 || actions[0].Do != Delete || actions[0].UID != "u" {
				s.Fatalf("want one deletion, have %+v", actions)
			}
			s.see("c/0", leaving).at(4).want("Undoing: a/0 Succeeded, b/0 Succeeded, c/0 Undoing")
			if actions := Act(s.w, s.l, s.sights); len(actions) != 0 {
				s.Fatalf("it is leaving already: %+v", actions)
			}
			s.sights[2] = Sight{} // the cache shows it no more, which proves nothing
			s.at(5).want("Undoing: a/0 Succeeded, b/0 Succeeded, c/0 Undoing")
			if ask := Confirm(s.w, s.l, s.sights); len(ask) != 1 || ask[0] != 2 {
				s.Fatalf("want a live read of instance 2, have %v", ask)
			}
			s.see("c/0", gone).at(6).want("Undoing: a/0 Succeeded, b/0 Undoing, c/0 Undone")
			s.see("b/0", gone).at(7).see("a/0", gone).at(8).want("RolledBack: a/0 Undone, b/0 Undone, c/0 Undone").wakes(-1)
		}},
		"what never began": {"there is nothing to take back", chain, func(s *stage) {
			s.see("a/0", stalled(1)).at(1).want("Undoing: a/0 Undoing, b/0 Omitted, c/0 Omitted")
			s.see("a/0", gone).at(2).want("RolledBack: a/0 Undone, b/0 Omitted, c/0 Omitted")
		}},
		"branches side by side": {"under the same limit", "parallelLimit: 2\nonFailure: Rollback\n" + ops(server("a", ""), server("b", ""), server("c", "")), func(s *stage) {
			s.see("a/0", ready).see("b/0", ready).at(1).see("c/0", stalled(1)).at(2).want("Undoing: a/0 Succeeded, b/0 Undoing, c/0 Undoing")
			s.see("c/0", gone).at(3).want("Undoing: a/0 Undoing, b/0 Undoing, c/0 Undone")
		}},
		"what has no child": {"time that passed is simply over", "onFailure: Rollback\n" + ops(server("a", ""), pauseOp("w", "0s", ", dependsOn: [{operation: a}]"), server("b", ", dependsOn: [{operation: w}]")), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", stalled(1)).at(2).want("Undoing: a/0 Succeeded, w/0 Succeeded, b/0 Undoing")
			s.see("b/0", gone).at(3).want("Undoing: a/0 Undoing, w/0 Undone, b/0 Undone")
		}},
		"a failed undo": {"others go on; what it rests on stays, for it would break what is there", "onFailure: Rollback\n" + ops(server("a", ""), pauseOp("w", "0s", ", dependsOn: [{operation: a}]"), server("b", ", dependsOn: [{operation: w}]"), server("c", "")), func(s *stage) {
			s.see("a/0", ready).see("c/0", ready).at(1).see("b/0", stalled(1)).at(2).see("b/0", leaving).see("c/0", leaving).at(3)
			s.see("b/0", denied).at(4).want("Undoing: a/0 Succeeded, w/0 Succeeded, b/0 UndoFailed, c/0 Undoing")
			s.see("c/0", gone).at(5).want("RollbackFailed: a/0 UndoFailed, w/0 Undone, b/0 UndoFailed, c/0 Undone")
			left := Summarise(s.w, s.l, s.sights).Leftovers
			if len(left) != 2 || left[0].Operation != "a" || !strings.Contains(left[0].Message, "rests on it") || left[1].ChildRef == nil || !strings.Contains(left[1].Message, "403") {
				s.Errorf("left over: %+v", left)
			}
		}},
		"an old Stalled": {"what a child said before its deletion is not about its deletion", chain, func(s *stage) {
			s.see("a/0", stalled(1)).at(1).want("Undoing: a/0 Undoing, b/0 Omitted, c/0 Omitted").at(2).want("Undoing: a/0 Undoing, b/0 Omitted, c/0 Omitted")
		}},
		"a command that ended": {"its effect cannot be taken back, and its Run stays to be read", "onFailure: Rollback\n" + ops(server("a", ""), script("c", ", dependsOn: [{operation: a}]"), server("b", ", dependsOn: [{operation: c}]")), func(s *stage) {
			s.see("a/0", ready).at(1).see("c/0", ready).at(2).see("b/0", stalled(1)).at(3).see("b/0", gone).at(4).want("Undoing: a/0 Undoing, c/0 Irreversible, b/0 Undone")
			s.see("a/0", gone).at(5).want("RolledBack: a/0 Undone, c/0 Irreversible, b/0 Undone")
			if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), "1 command that ran cannot be undone") {
				s.Error(err)
			}
		}},
		"a command that may still run": {"it is stopped first: its server waits for it", "onFailure: Rollback\n" + ops(server("a", ""), script("c", ", timeout: 10s, dependsOn: [{operation: a}]")), func(s *stage) {
			s.see("a/0", ready).at(time.Second).see("c/0", going).at(2 * time.Second).at(13 * time.Second).want("Undoing: a/0 Succeeded, c/0 Undoing")
			s.see("c/0", gone).at(14 * time.Second).want("Undoing: a/0 Undoing, c/0 Irreversible")
		}},
		"a command asked for again": {"what ended was the attempt before", "onFailure: Rollback\ntimeout: 60s\n" + ops(script("c", ", retry: {limit: 1, backoff: {duration: 0s}}")), func(s *stage) {
			s.see("c/0", stalled(1)).at(time.Second).want("Running: c/0 Running").at(time.Hour).want("Undoing: c/0 Undoing")
		}},
		"nobody would tell": {"a child that was never there sends no event when it is gone", "onFailure: Rollback\n" + ops(server("a", "")), func(s *stage) {
			s.sights[0] = NotMade(1, fault.New(fault.Terminal, fault.ReasonNameTaken, "it exists"))
			s.at(time.Second).want("Undoing: a/0 Undoing").wakes(time.Second)
		}},
		"suspended": {"undoing is held, too", chain, func(s *stage) {
			s.see("a/0", ready).at(1)
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = true })
			s.see("b/0", stalled(1)).at(2).want("Undoing: a/0 Succeeded, b/0 Failed, c/0 Omitted").at(time.Hour).want("Undoing: a/0 Succeeded, b/0 Failed, c/0 Omitted")
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = false })
			s.at(2 * time.Hour).want("Undoing: a/0 Succeeded, b/0 Undoing, c/0 Omitted")
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			c.play(newStage(t, c.spec))
		})
	}
}

// TestNotMade: a child that is refused counts as its attempt's failure, and the next attempt makes it anew.
func TestNotMade(t *testing.T) {
	s := newStage(t, ops(server("a", ", retry: {limit: 1, backoff: {duration: 5s}}")))
	taken := fault.New(fault.Terminal, fault.ReasonNameTaken, "Server wf-a exists and belongs to nobody")
	s.sights[0] = NotMade(1, taken)
	s.at(time.Second).want("Running: a/0 Retrying")
	s.at(6 * time.Second).want("Running: a/0 Running")
	if actions := Act(s.w, s.l, s.sights); len(actions) != 1 || actions[0].Do != Ensure || actions[0].Attempt != 2 {
		t.Fatalf("want it made at attempt 2, have %+v", actions)
	}
	s.sights[0] = NotMade(2, taken)
	s.at(7 * time.Second).want("Failed: a/0 Failed")
	if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), "NameTaken: Server wf-a exists") {
		t.Error(err)
	}
	if NotMade(1, errors.New("x")).Reason != string(fault.ReasonInternal) {
		t.Error("an error without a reason has one for people")
	}
}

// TestWants: who may have a child. Only what was once ordered, and is not undone.
func TestWants(t *testing.T) {
	s := newStage(t, "onFailure: Rollback\nparallelLimit: 1\n"+ops(server("a", ""), server("b", ", dependsOn: [{operation: a}]"), server("c", ", dependsOn: [{operation: b}]")))
	wants := func(want ...bool) {
		t.Helper()
		for i, w := range want {
			if Wants(s.w, s.l, i) != w {
				t.Errorf("%s: wants %d: %v", s.phases(), i, !w)
			}
		}
	}
	wants(true, false, false)
	s.see("a/0", ready).at(1)
	wants(true, true, false)
	s.see("b/0", stalled(1)).at(2)
	wants(true, true, false)
	s.see("b/0", denied).at(3)
	wants(true, true, false) // left over, and not to be deleted again
	undone := newStage(t, "onFailure: Rollback\n"+ops(server("a", "")))
	undone.see("a/0", stalled(1)).at(1).see("a/0", gone).at(2)
	if Wants(undone.w, undone.l, 0) {
		t.Error("what is undone is wanted")
	}
}
