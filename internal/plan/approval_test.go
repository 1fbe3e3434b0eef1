package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// approval is an operation of type Approval.
func approval(name, more string) string {
	return `{name: ` + name + `, type: Approval, approval: {message: "go on to production?"}` + more + `}`
}

// by asks for an approval in somebody's name.
func (s *stage) by(user, request string) *stage {
	s.ask(request).asked[ApprovedBy] = user
	return s
}

// TestApproval: an operation of type Approval waits until somebody approves, and keeps who and when.
func TestApproval(t *testing.T) {
	gated := ops(server("a", ""), approval("gate", ", dependsOn: [{operation: a}]"), server("b", ", dependsOn: [{operation: gate}]"))
	playAll(t, map[string]scene{
		"given": {"it ends with the approval, and the others go on", gated, func(s *stage) {
			s.see("a/0", ready).at(time.Minute).want("Running: a/0 Succeeded, gate/0 Pending, b/0 Pending").phase(v1alpha1.WorkflowAwaitingApproval)
			s.by("jane", "approve: gate").at(time.Hour).want("Running: a/0 Succeeded, gate/0 Succeeded, b/0 Running").phase(v1alpha1.WorkflowRunning).refused("")
			want := map[string]string{"approvedBy": "jane", "approvedAt": s.now.UTC().Format(time.RFC3339)}
			if diff := cmp.Diff(want, s.l.Ops[1].Outputs); diff != "" {
				s.Error(diff)
			}
			if op := Summarise(s.w, s.l, s.sights).Operations[1]; op.ApprovedBy != "jane" || !op.FinishedAt.Time.Equal(s.now) {
				s.Errorf("people read %+v", op)
			}
		}},
		"what people read": {"the phase, since when, what for, and how it is given", gated, func(s *stage) {
			s.see("a/0", ready).at(time.Minute)
			status := Summarise(s.w, s.l, s.sights)
			op := status.Operations[1]
			if op.Phase != "AwaitingApproval" || op.Message != "go on to production?" || !op.StartedAt.Time.Equal(s.now) || op.WaitingFor[0].Limit != "approval" {
				s.Errorf("the operation reads %+v", op)
			}
			err := Verdict(s.w, s.l, time.Minute)
			if fault.ReasonOf(err) != v1alpha1.ReasonAwaitingApproval || !fault.IsWait(err) {
				s.Errorf("the reason is %s", fault.ReasonOf(err))
			}
			if want := `1 of 3 done; awaiting approval of "gate" (go on to production?): annotate keelway.dev/approve with the name`; err.Error() != want {
				s.Errorf("people read %q, want %q", err, want)
			}
			if status.Counts.Pending != 2 || status.Counts.Running != 0 {
				s.Errorf("counts %+v", status.Counts)
			}
		}},
		"at rest": {"nothing is written and nobody is woken while it is awaited", gated, func(s *stage) {
			before := s.see("a/0", ready).at(time.Minute).l
			if s.at(24 * time.Hour).wakes(-1); s.l != before {
				s.Error("the ledger was changed")
			}
		}},
		"nobody vouches": {"", gated, func(s *stage) {
			s.see("a/0", ready).at(time.Minute).ask("approve: gate").at(time.Hour)
			if by := s.w.approvedBy(s.l, 1); by != "unverified" {
				s.Errorf("approved by %q", by)
			}
		}},
		"an unknown operation": {"it names what is awaited", gated, func(s *stage) {
			s.see("a/0", ready).at(1).by("jane", "approve: gtae").at(2).refused(`no operation of type Approval that is called "gtae": awaited is gate`).phase(v1alpha1.WorkflowAwaitingApproval)
		}},
		"one of another type": {"", gated, func(s *stage) {
			s.by("jane", "approve: a").at(1).refused(`"a": no approval is awaited`)
		}},
		"a hash": {"of a plan that there is not", gated, func(s *stage) {
			s.see("a/0", ready).at(1).by("jane", "approve: 00112233445566778899aabbccddeeff").at(2).refused("awaited is gate").phase(v1alpha1.WorkflowAwaitingApproval)
		}},
		"before it is awaited": {"nobody approves what they cannot have seen; a new token is another approval", gated, func(s *stage) {
			s.by("jane", "approve: gate").at(1).refused(`"gate" is not awaited yet`)
			s.see("a/0", ready).at(2).want("Running: a/0 Succeeded, gate/0 Pending, b/0 Pending").at(3).want("Running: a/0 Succeeded, gate/0 Pending, b/0 Pending")
			s.by("jane", "approve: gate@2").at(4).want("Running: a/0 Succeeded, gate/0 Succeeded, b/0 Running")
		}},
		"at the very start": {"what a manifest brings along approves nothing", ops(approval("gate", ""), server("b", ", dependsOn: [{operation: gate}]")), func(s *stage) {
			fresh, err := s.w.Start(s.begun.Unix())
			if s.l = fresh; err != nil {
				s.Fatal(err)
			}
			s.by("jane", "approve: gate").at(1).refused("not awaited yet").want("Running: gate/0 Pending, b/0 Pending")
		}},
		"twice": {"", gated, func(s *stage) {
			s.see("a/0", ready).at(1).by("jane", "approve: gate").at(2).by("joe", "approve: gate@2").at(3).refused(`"gate" is Succeeded`)
			if by := s.w.approvedBy(s.l, 1); by != "jane" {
				s.Errorf("approved by %q", by)
			}
		}},
		"several": {"all that are named, or none", ops(approval("one", ""), approval("two", ""), approval("last", ", dependsOn: [{operation: one}]")), func(s *stage) {
			s.by("jane", "approve: one,last").at(1).refused(`"last" is not awaited yet`).want("Running: one/0 Pending, two/0 Pending, last/0 Pending")
			s.by("jane", "approve: one, two@1").at(2).want("Running: one/0 Succeeded, two/0 Succeeded, last/0 Pending")
		}},
		"others go on": {"it holds no place under the limit", "parallelLimit: 1\n" + ops(approval("gate", ""), server("a", ""), server("b", "")), func(s *stage) {
			s.want("Running: gate/0 Pending, a/0 Running, b/0 Pending").phase(v1alpha1.WorkflowRunning)
			if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), `running: a; awaiting approval of "gate"`) {
				s.Error(err)
			}
			s.see("a/0", ready).at(1).see("b/0", ready).at(2).want("Running: gate/0 Pending, a/0 Succeeded, b/0 Succeeded").phase(v1alpha1.WorkflowAwaitingApproval)
		}},
		"while suspended": {"it counts, and nothing starts", gated, func(s *stage) {
			s.see("a/0", ready).at(1)
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = true })
			s.by("jane", "approve: gate").at(2).want("Running: a/0 Succeeded, gate/0 Succeeded, b/0 Pending").phase(v1alpha1.WorkflowSuspended)
		}},
		"its condition": {"false: nobody is asked", ops(server("a", ""), approval("gate", `, dependsOn: [{operation: a}], when: 'operations.a.failed > 0'`)), func(s *stage) {
			s.see("a/0", ready).at(1).want("Succeeded: a/0 Succeeded, gate/0 Skipped")
		}},
		"a failure meanwhile": {"nobody is asked any more; another try asks anew", ops(approval("gate", ""), server("a", ""), server("b", ", dependsOn: [{operation: gate}]")), func(s *stage) {
			s.see("a/0", stalled(1)).at(1).want("Failed: gate/0 Omitted, a/0 Failed, b/0 Omitted").by("jane", "approve: gate").at(2).refused(`"gate" is Omitted`)
			s.ask("retry: all").at(3).want("Running: gate/0 Pending, a/0 Running, b/0 Pending").by("jane", "approve: gate@2").at(4)
			s.want("Running: gate/0 Succeeded, a/0 Running, b/0 Running")
		}},
		"what it rests on is tried again": {"it is not awaited until that has ended", "onFailure: Continue\n" + ops(server("a", ""), approval("gate", ", dependsOn: [{operation: a, type: Soft}]")), func(s *stage) {
			s.see("a/0", stalled(1)).at(1).phase(v1alpha1.WorkflowAwaitingApproval).ask("retry: a").at(2).want("Running: a/0 Running, gate/0 Pending")
			s.by("jane", "approve: gate").at(3).refused("not awaited yet")
		}},
		"cancelled": {"", gated, func(s *stage) {
			s.see("a/0", ready).at(1).ask("cancel: x").at(2).want("Cancelled: a/0 Succeeded, gate/0 Cancelled, b/0 Cancelled")
		}},
		"undone": {"an approval leaves nothing to take back", "onFailure: Rollback\n" + ops(approval("gate", ""), server("a", ", dependsOn: [{operation: gate}]")), func(s *stage) {
			s.by("jane", "approve: gate").at(1).see("a/0", stalled(1)).at(2).want("Undoing: gate/0 Succeeded, a/0 Undoing").see("a/0", gone).at(3)
			s.want("RolledBack: gate/0 Undone, a/0 Undone")
		}},
		"its outputs": {"who and when are values like others", ops(approval("gate", ""), `{name: c, type: Command, dependsOn: [{operation: gate}], command: {script: "true", target: {server: s}, env: [{name: BY, value: "${operations.gate.outputs.approvedBy}"}]}}`), func(s *stage) {
			s.by("jane", "approve: gate").at(1).want("Running: gate/0 Succeeded, c/0 Running")
			if run := Act(s.w, s.l, s.sights)[0].Child.(*v1alpha1.Run); run.Spec.Command.Env[0].Value != "jane" {
				s.Errorf("the command gets %+v", run.Spec.Command.Env)
			}
		}},
	})
}

// TestNoClockWhileApprovalIsAwaited: time in which nothing but somebody's approval is awaited does not count.
func TestNoClockWhileApprovalIsAwaited(t *testing.T) {
	gated := ops(server("a", ""), approval("gate", ", dependsOn: [{operation: a}]"), server("b", ", dependsOn: [{operation: gate}]"))
	playAll(t, map[string]scene{
		"alone": {"", "timeout: 60s\n" + gated, func(s *stage) {
			s.see("a/0", going).at(0).see("a/0", ready).at(30 * time.Second).at(24 * time.Hour).wakes(-1).want("Running: a/0 Succeeded, gate/0 Pending, b/0 Pending")
			s.by("jane", "approve: gate").at(48*time.Hour).see("b/0", going).at(48*time.Hour + 29*time.Second).want("Running: a/0 Succeeded, gate/0 Succeeded, b/0 Running")
			s.at(48*time.Hour + 32*time.Second).want("Failed: a/0 Succeeded, gate/0 Succeeded, b/0 Failed")
		}},
		"beside others": {"somebody works, and may hang", "timeout: 60s\n" + ops(approval("gate", ""), server("a", "")), func(s *stage) {
			s.see("a/0", going).at(0).at(62 * time.Second).want("Failed: gate/0 Omitted, a/0 Failed")
		}},
		"and suspended": {"", "timeout: 60s\n" + gated, func(s *stage) {
			s.see("a/0", going).at(0).see("a/0", ready).at(10 * time.Second)
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = true })
			s.at(time.Hour)
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = false })
			s.at(2*time.Hour).phase(v1alpha1.WorkflowAwaitingApproval).by("jane", "approve: gate").at(3*time.Hour).see("b/0", going)
			s.at(3*time.Hour + 45*time.Second).want("Running: a/0 Succeeded, gate/0 Succeeded, b/0 Running")
		}},
	})
}

// TestApprovalHasNoAttempts: what would mean nothing is refused.
func TestApprovalHasNoAttempts(t *testing.T) {
	for _, more := range []string{", timeout: 1m", ", totalTimeout: 1m", ", retry: {limit: 1}"} {
		if _, err := Compile(flow(t, ops(approval("gate", more))), nil); err == nil || !strings.Contains(err.Error(), `operation "gate": an Approval has no attempts`) {
			t.Errorf("%s: %v", more, err)
		}
	}
	if _, err := Compile(flow(t, ops(`{name: gate, type: Approval}`)), nil); err == nil || !strings.Contains(err.Error(), "needs the section approval") {
		t.Error(err)
	}
}

// TestApprovalIsKept: who approved is part of the ledger, however long the name is.
func TestApprovalIsKept(t *testing.T) {
	s := newStage(t, ops(approval("gate", "")))
	s.by(strings.Repeat("é", 300), "approve: gate").at(time.Minute).want("Succeeded: gate/0 Succeeded")
	data, err := saga.Encode(s.l)
	if err != nil {
		t.Fatal(err)
	}
	read, err := saga.Decode(data)
	if err != nil || !read.Equal(s.l) || len(read.Ops[0].Outputs[outputApprovedBy]) > maxUser {
		t.Errorf("it reads %+v: %v", read.Ops[0].Outputs, err)
	}
}

// phase wants the workflow's phase.
func (s *stage) phase(want v1alpha1.WorkflowPhase) *stage {
	s.Helper()
	if got := s.w.Phase(s.l); got != want {
		s.Fatalf("the phase is %s, want %s: %s", got, want, s.phases())
	}
	return s
}
