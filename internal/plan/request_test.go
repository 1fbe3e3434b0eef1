package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// ask asks from now on: "retry: all@1".
func (s *stage) ask(request string) *stage {
	verb, value, _ := strings.Cut(request, ": ")
	s.asked = Requests{verb: value}
	return s
}

func (s *stage) refused(want string) *stage {
	s.Helper()
	if !strings.Contains(s.l.Refusal, want) || want == "" && s.l.Refusal != "" {
		s.Fatalf("the refusal is %q, want %q", s.l.Refusal, want)
	}
	if err := Verdict(s.w, s.l, 0); want != "" && (err == nil || !strings.Contains(err.Error(), want)) && s.l.Phase != saga.RunSucceeded {
		s.Fatalf("people read %v, want %q", err, want)
	}
	return s
}

func chain(more string) string {
	return more + ops(server("a", ""), server("b", ", dependsOn: [{operation: a}]"), server("c", ", dependsOn: [{operation: b}]"))
}

// TestRetryAsked: what failed is tried again by the next attempt on the same child, and what was omitted for it runs after all.
func TestRetryAsked(t *testing.T) {
	playAll(t, map[string]scene{
		"after the end": {"", chain(""), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", stalled(1)).at(2).want("Failed: a/0 Succeeded, b/0 Failed, c/0 Omitted")
			s.ask("retry: all@1").at(3).want("Running: a/0 Succeeded, b/0 Running, c/0 Pending").refused("")
			if actions := Act(s.w, s.l, s.sights); len(actions) != 1 || actions[0].Do != Raise || actions[0].Attempt != 2 {
				s.Fatalf("want attempt 2 of the same child, have %+v", actions)
			}
			s.see("b/0", Sight{Ready: true, Asked: 2, Answered: 2}).at(4).see("c/0", ready).at(5).want("Succeeded: a/0 Succeeded, b/0 Succeeded, c/0 Succeeded")
		}},
		"one of two": {"the other failure would end the run again", ops(server("a", ""), server("b", "")), func(s *stage) {
			s.see("a/0", stalled(1)).see("b/0", stalled(1)).at(1).ask("retry: b").at(2).want("Failed: a/0 Failed, b/0 Failed").refused(`operation "a" failed too`)
			s.ask("retry: b, a").at(3).want("Running: a/0 Running, b/0 Running")
		}},
		"while it runs": {"", "onFailure: Continue\n" + ops(server("a", ""), server("b", "")), func(s *stage) {
			s.see("a/0", stalled(1)).see("b/0", going).at(1).want("Running: a/0 Failed, b/0 Running").ask("retry: a").at(2).want("Running: a/0 Running, b/0 Running")
		}},
		"an unknown outcome": {"somebody has looked", ops(server("a", "")), func(s *stage) {
			s.see("a/0", doubtful).at(1).want("Failed: a/0 Unknown").ask("retry: a").at(2).want("Running: a/0 Running")
		}},
		"under the limit": {"", "parallelLimit: 1\n" + "onFailure: Continue\n" + ops(server("a", ""), server("b", "")), func(s *stage) {
			s.see("a/0", stalled(1)).at(1).see("b/0", stalled(1)).at(2).want("Failed: a/0 Failed, b/0 Failed")
			s.ask("retry: all").at(3).want("Running: a/0 Running, b/0 Pending")
		}},
		"its own retries anew": {"", ops(server("a", ", retry: {limit: 1, backoff: {duration: 0s}}")), func(s *stage) {
			s.see("a/0", stalled(1)).at(1*time.Second).see("a/0", stalled(2)).at(2 * time.Second).want("Failed: a/0 Failed")
			s.ask("retry: a").at(3*time.Second).see("a/0", stalled(3)).at(4 * time.Second).want("Running: a/0 Running")
			s.see("a/0", stalled(4)).at(5 * time.Second).want("Failed: a/0 Failed")
		}},
		"what could not be undone": {"what rests on it first", "onFailure: Rollback\n" + ops(server("a", ""), server("b", ", dependsOn: [{operation: a}]")), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", stalled(1)).at(2).see("b/0", denied).at(3).want("RollbackFailed: a/0 UndoFailed, b/0 UndoFailed")
			s.ask("retry: all").at(4).want("Undoing: a/0 Succeeded, b/0 Undoing")
			if actions := Act(s.w, s.l, s.sights); len(actions) != 1 || actions[0].Do != Raise || actions[0].Attempt != 2 {
				s.Fatalf("want attempt 2, have %+v", actions)
			}
			s.see("b/0", gone).at(5).see("a/0", gone).at(6).want("RolledBack: a/0 Undone, b/0 Undone")
		}},
		"nobody": {"a verb for an unknown operation names it", chain(""), func(s *stage) {
			s.see("a/0", stalled(1)).at(1).ask("retry: a,zzz@1").at(2).want("Failed: a/0 Failed, b/0 Omitted, c/0 Omitted").refused(`there is no operation "zzz"`)
		}},
		"nothing failed": {"", chain(""), func(s *stage) { s.ask("retry: all").at(1).refused("nothing of it failed") }},
	})
}

// TestVerbsRunOncePerValue: in Git a verb does not run at every sync.
func TestVerbsRunOncePerValue(t *testing.T) {
	s := newStage(t, ops(server("a", "")))
	s.see("a/0", stalled(1)).at(1).ask("retry: all@1").at(2).want("Running: a/0 Running")
	s.see("a/0", stalled(2)).at(3).want("Failed: a/0 Failed").at(4).want("Failed: a/0 Failed") // the value is still there
	s.asked = nil
	s.at(5).want("Failed: a/0 Failed").ask("retry: all@1").at(6).want("Failed: a/0 Failed") // removed and put back
	s.ask("retry: all@2").at(7).want("Running: a/0 Running")
	if diff := cmp.Diff(map[string]string{"retry": "all@2"}, Summarise(s.w, s.l, s.sights).Handled); diff != "" {
		t.Error(diff)
	}
	s.see("a/0", Sight{Ready: true, Asked: 3, Answered: 3}).at(8).ask("retry: " + strings.Repeat("x", saga.MaxValue+1)).at(9).refused("longer than 512 bytes")
	if before := s.l; s.at(10).l != before {
		t.Error("a value that is refused is looked at again and again")
	}
	if _, err := saga.Encode(s.l); err != nil {
		t.Error(err)
	}
	annotations := map[string]string{"keelway.dev/retry": "a", "keelway.dev/attempt": "7", "keelway.dev/cancel": "", "other/abort": "x"}
	if diff := cmp.Diff(Requests{"retry": "a"}, RequestsIn(annotations)); diff != "" {
		t.Error(diff)
	}
}

// TestCancel: nothing new starts, what runs ends, then onFailure applies. TestAbort: the end at once, without undo.
func TestCancel(t *testing.T) {
	playAll(t, map[string]scene{
		"without undo": {"", chain(""), func(s *stage) {
			s.see("a/0", going).at(1).ask("cancel: please").at(2).want("Running: a/0 Running, b/0 Cancelled, c/0 Cancelled")
			s.see("a/0", ready).at(3).want("Cancelled: a/0 Succeeded, b/0 Cancelled, c/0 Cancelled")
			if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), "1 of 3 done: Cancelled: somebody cancelled the run") {
				s.Error(err)
			}
			s.ask("retry: all").at(4).want("Running: a/0 Succeeded, b/0 Running, c/0 Pending")
		}},
		"with undo": {"", chain("onFailure: Rollback\n"), func(s *stage) {
			s.see("a/0", going).at(1).ask("cancel: x").at(2).see("a/0", ready).at(3).want("Undoing: a/0 Undoing, b/0 Cancelled, c/0 Cancelled")
		}},
		"between two attempts": {"", ops(server("a", ", retry: {limit: 3}")), func(s *stage) {
			s.see("a/0", stalled(1)).at(1).ask("cancel: x").at(2).want("Cancelled: a/0 Cancelled")
		}},
		"what hangs": {"the workflow's time still runs", "timeout: 60s\n" + ops(server("a", "")), func(s *stage) {
			s.see("a/0", going).at(0).ask("cancel: x").at(1).at(time.Hour).want("Cancelled: a/0 Failed")
		}},
		"too late": {"", ops(server("a", "")), func(s *stage) { s.see("a/0", stalled(1)).at(1).ask("cancel: x").at(2).refused("nothing to cancel") }},
	})
}

func TestAbort(t *testing.T) {
	playAll(t, map[string]scene{
		"forward": {"what runs is left as it is, and nothing is undone", chain("onFailure: Rollback\n"), func(s *stage) {
			s.see("a/0", going).at(1).ask("abort: " + s.w.name).at(2).want("Cancelled: a/0 Cancelled, b/0 Cancelled, c/0 Cancelled")
			if len(Act(s.w, s.l, s.sights)) > 0 || !Wants(s.w, s.l, 0) {
				s.Error("its child is touched")
			}
		}},
		"on the way back": {"what stands is left over", chain("onFailure: Rollback\n"), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", stalled(1)).at(2).ask("abort: " + s.w.name).at(3).want("RollbackFailed: a/0 UndoFailed, b/0 UndoFailed, c/0 Omitted")
			if left := Summarise(s.w, s.l, s.sights).Leftovers; len(left) != 2 || left[0].Message != "undoing was aborted" {
				s.Errorf("left over: %+v", left)
			}
		}},
		"another name": {"so that it is no slip", chain(""), func(s *stage) {
			s.see("a/0", going).at(1).ask("abort: other").at(2).want("Running: a/0 Running, b/0 Pending, c/0 Pending").refused("must be the name of the workflow, wf")
		}},
	})
}

// TestRollbackAsked: what the run made is taken back when what runs has ended; a success is not.
func TestRollbackAsked(t *testing.T) {
	playAll(t, map[string]scene{
		"while it runs": {"", chain(""), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", going).at(2).ask("rollback: now").at(3).want("Running: a/0 Succeeded, b/0 Running, c/0 Cancelled")
			s.see("b/0", ready).at(4).want("Undoing: a/0 Succeeded, b/0 Undoing, c/0 Cancelled").see("b/0", gone).at(5).see("a/0", gone).at(6)
			s.want("RolledBack: a/0 Undone, b/0 Undone, c/0 Cancelled")
		}},
		"after a failure that left all": {"", chain("onFailure: Fail\n"), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", stalled(1)).at(2).want("Failed: a/0 Succeeded, b/0 Failed, c/0 Omitted")
			s.ask("rollback: x").at(3).want("Undoing: a/0 Succeeded, b/0 Undoing, c/0 Omitted")
			if !strings.Contains(Verdict(s.w, s.l, 0).Error(), `operation "b": QuotaExceeded`) {
				s.Errorf("the cause is %+v", s.l.Cause)
			}
		}},
		"after a success": {"undo compensates a failed run", ops(server("a", "")), func(s *stage) {
			s.see("a/0", ready).at(1).ask("rollback: x").at(2).want("Succeeded: a/0 Succeeded").refused("delete the workflow")
		}},
	})
}

// TestTTL: a run that has been over for long enough keeps its outcomes alone; its Runs may go, Servers never.
func TestTTL(t *testing.T) {
	s := newStage(t, "ttlAfterFinished: 1h\n"+ops(server("a", ""), `{name: c, type: Check, check: {tcp: {address: "127.0.0.1:1"}}}`))
	s.see("a/0", ready).see("c/0", ready).at(time.Minute).want("Succeeded: a/0 Succeeded, c/0 Succeeded").wakes(time.Hour + time.Minute + time.Second)
	if s.l.Compact || !Wants(s.w, s.l, 1) {
		t.Fatal("its story is forgotten too early")
	}
	s.at(2 * time.Hour).want("Succeeded: a/0 Succeeded, c/0 Succeeded").wakes(2 * time.Hour).at(2 * time.Hour).wakes(-1)
	if !s.l.Compact || !Wants(s.w, s.l, 0) || Wants(s.w, s.l, 1) {
		t.Errorf("compact %t, wants the Server %t, the Run %t", s.l.Compact, Wants(s.w, s.l, 0), Wants(s.w, s.l, 1))
	}
	if status := Summarise(s.w, s.l, s.sights); status.Run.FinishedAt == nil || status.Phase != v1alpha1.WorkflowSucceeded {
		t.Errorf("the run reads %+v", status)
	}
}
