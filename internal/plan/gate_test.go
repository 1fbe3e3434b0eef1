package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// governed is a stage of which the plan is looked at before each step, as the controller does.
type governed struct {
	*stage
	record *v1alpha1.CheckpointPlan
	behind *Workflow
	made   int // plans
}

func govern(t testing.TB, spec string) *governed {
	t.Helper()
	s := newStage(t, spec)
	fresh, err := s.w.Start(s.begun.Unix())
	if s.l = fresh; err != nil {
		t.Fatal(err)
	}
	return (&governed{stage: s}).at(0)
}

func (g *governed) at(after time.Duration) *governed {
	g.Helper()
	g.now = g.begun.Add(after)
	under, err := g.w.Under(g.l)
	if err != nil {
		g.Fatal(err)
	}
	gate, err := under.Judge(g.l, g.record, g.sights, func() (World, error) {
		g.made++
		return World{Sights: g.sights}, nil
	}, g.asked, g.now)
	if err != nil {
		g.Fatal(err)
	}
	g.record, g.behind = gate.Record, under.Behind(gate)
	if g.l, g.wake, err = Advance(g.behind, g.l, g.sights, g.asked, g.now); err != nil {
		g.Fatal(err)
	}
	return g
}

// edited goes on with another spec.
func (g *governed) edited(spec string) *governed {
	g.Helper()
	g.w = g.rewrite(spec)
	return g
}

func (g *governed) phase(want v1alpha1.WorkflowPhase) *governed {
	g.Helper()
	if got := g.behind.Phase(g.l); got != want {
		g.Fatalf("the phase is %s, want %s: %s", got, want, g.phases())
	}
	return g
}

func (g *governed) verdict() error { return Verdict(g.behind, g.l, time.Minute) }

// succeeded is a first run that was applied without a plan and has ended.
func succeeded(t testing.TB, spec string) *governed {
	t.Helper()
	g := govern(t, spec)
	g.stage.stand()
	if g.l.Phase != saga.RunSucceeded {
		t.Fatal(g.phases())
	}
	return g
}

const onlyPlan, afterApproval = "mode: Plan\n", "mode: ApplyAfterApproval\n"

// TestModePlan: what a run would do is said, and nothing is done.
func TestModePlan(t *testing.T) {
	g := govern(t, onlyPlan+ops(srv("a", 3, "small", ""))).phase(v1alpha1.WorkflowPlanned)
	g.want("Running: a/0 Pending, a/1 Pending, a/2 Pending")
	status := Summarise(g.behind, g.l, g.sights)
	if status.Plan == nil || status.Plan.Summary != "+3 ~0 -0" || status.Plan.Hash == "" || status.Plan.CostChange != "3 Servers of unknown cost" || status.Run != nil {
		t.Errorf("people read %+v, run %+v", status.Plan, status.Run)
	}
	if err := g.verdict(); err != nil || !strings.Contains(g.behind.Planned(g.l), "+3 ~0 -0") {
		t.Errorf("%v; %s", err, g.behind.Planned(g.l))
	}
	ledger, record := g.l, g.record
	if g.at(time.Hour); g.l != ledger || g.record != record || len(Act(g.behind, g.l, g.sights)) > 0 {
		t.Error("something is written at rest")
	}
	g.by("jane", "approve: "+g.record.Hash)
	if g.at(2 * time.Hour).phase(v1alpha1.WorkflowPlanned); !strings.Contains(g.behind.Planned(g.l), "spec.mode is Plan, which runs nothing") {
		t.Error(g.behind.Planned(g.l))
	}
	g.edited(ops(srv("a", 3, "small", ""))).at(3 * time.Hour).phase(v1alpha1.WorkflowRunning)
}

// TestApplyAfterApproval: nothing runs before somebody has approved that very plan.
func TestApplyAfterApproval(t *testing.T) {
	spec := afterApproval + ops(srv("a", 1, "small", ""), srv("b", 1, "small", ", dependsOn: [{operation: a}]"))
	g := govern(t, spec).phase(v1alpha1.WorkflowAwaitingApproval)
	hash := g.record.Hash
	if err := g.verdict(); fault.ReasonOf(err) != v1alpha1.ReasonAwaitingApproval || !strings.Contains(err.Error(), "plan "+hash+": +2 ~0 -0") {
		t.Error(err)
	}
	for value, want := range map[string]string{
		"gate@1": "its hash is " + hash, "a@2": "its hash is " + hash, "00112233445566778899aabbccddeeff": "its hash is " + hash, hash[:8]: "its hash is " + hash,
	} {
		g.by("jane", "approve: "+value)
		if g.at(time.Minute).phase(v1alpha1.WorkflowAwaitingApproval); !strings.Contains(g.verdict().Error(), want) {
			t.Errorf("%s: %v", value, g.verdict())
		}
	}
	g.by("jane", "approve: "+hash+"@ok")
	g.at(time.Hour).phase(v1alpha1.WorkflowRunning).want("Running: a/0 Running, b/0 Pending")
	if plan := Summarise(g.behind, g.l, g.sights).Plan; plan == nil || plan.ApprovedBy != "jane" || !plan.ApprovedAt.Time.Equal(g.now) {
		t.Errorf("people read %+v", plan)
	}
	made := g.made
	g.see("a/0", ready)
	g.at(2 * time.Hour).want("Running: a/0 Succeeded, b/0 Running") // it goes on although the world is another one now
	g.see("b/0", ready)
	if g.at(3 * time.Hour).phase(v1alpha1.WorkflowSucceeded); g.made != made {
		t.Error("a plan was made for what was approved")
	}
}

// TestPlanIsForOneRun: an approval lets one run of these operations go, and no other.
func TestPlanIsForOneRun(t *testing.T) {
	one, two := ops(srv("a", 1, "small", "")), ops(srv("a", 2, "small", ""))
	g := succeeded(t, one)
	g.edited(afterApproval + one).at(time.Hour).phase(v1alpha1.WorkflowSucceeded) // nothing is to be done
	g.edited(afterApproval + two).at(2 * time.Hour).phase(v1alpha1.WorkflowAwaitingApproval).want("Succeeded: a/0 Succeeded")
	if g.record.Summary != "+1 ~0 -0" {
		t.Errorf("the plan is %+v", g.record.PlanStatus)
	}
	first := g.record.Hash
	g.by("jane", "approve: "+first)
	g.at(3 * time.Hour).want("Running: a/0 Succeeded, a/1 Pending").at(3*time.Hour + 1).want("Running: a/0 Succeeded, a/1 Running")
	g.stage.stand()
	g.at(5 * time.Hour).phase(v1alpha1.WorkflowSucceeded)
	g.edited(afterApproval + ops(srv("a", 3, "small", ""))).at(6 * time.Hour).phase(v1alpha1.WorkflowAwaitingApproval) // the same annotation is still there
	g.by("jane", "approve: "+first+"@again")
	if g.at(7 * time.Hour).phase(v1alpha1.WorkflowAwaitingApproval); !strings.Contains(g.verdict().Error(), "its hash is "+g.record.Hash) {
		t.Error(g.verdict())
	}
}

// TestPlanStale: when the world has changed since the plan was made, its approval runs nothing.
func TestPlanStale(t *testing.T) {
	one, two := ops(srv("a", 1, "small", "")), ops(srv("a", 2, "small", ""))
	g := succeeded(t, one)
	g.edited(afterApproval + two).at(time.Hour)
	seen := g.record.Hash
	g.sights[0] = Sight{} // somebody deleted it
	g.by("jane", "approve: "+seen)
	g.at(2 * time.Hour).phase(v1alpha1.WorkflowPlanStale).want("Succeeded: a/0 Succeeded")
	err := g.verdict()
	if fault.ReasonOf(err) != fault.ReasonPlanStale || !fault.IsTerminal(err) || !strings.Contains(err.Error(), "plan "+g.record.Hash+": +2 ~0 -0") {
		t.Error(err)
	}
	if len(Act(g.behind, g.l, g.sights)) > 0 {
		t.Error("something is done")
	}
	ledger, record := g.l, g.record
	if g.at(3 * time.Hour).phase(v1alpha1.WorkflowPlanStale); g.l != ledger || g.record != record {
		t.Error("something is written at rest")
	}
	g.by("jane", "approve: "+g.record.Hash)
	g.at(4 * time.Hour).at(4*time.Hour + 1).phase(v1alpha1.WorkflowRunning).want("Running: a/0 Running, a/1 Running")
}

// TestPlanFollowsTheWorld: while nobody has approved it, the plan is that of now.
func TestPlanFollowsTheWorld(t *testing.T) {
	g := succeeded(t, ops(srv("a", 1, "small", "")))
	g.edited(afterApproval + ops(srv("a", 2, "small", ""))).at(time.Hour)
	before := g.record.Hash
	g.sights[0] = Sight{}
	if g.at(2 * time.Hour).phase(v1alpha1.WorkflowAwaitingApproval); g.record.Hash == before || g.record.Summary != "+2 ~0 -0" {
		t.Errorf("the plan is %+v", g.record.PlanStatus)
	}
	g.by("jane", "approve: "+before)
	g.at(3 * time.Hour).phase(v1alpha1.WorkflowPlanStale)
}

// TestPlanning: what is in flight ends before a plan is made of the rest; an undo is never held.
func TestPlanning(t *testing.T) {
	first := ops(srv("a", 1, "small", ""), srv("b", 1, "small", ", dependsOn: [{operation: a}]"))
	g := govern(t, first)
	g.see("a/0", going)
	g.edited(afterApproval + ops(srv("a", 1, "small", ""), srv("b", 2, "small", ", dependsOn: [{operation: a}]"))).at(time.Minute).phase(v1alpha1.WorkflowPlanning)
	if err := g.verdict(); !fault.IsWait(err) || !strings.Contains(err.Error(), "then the plan is made") {
		t.Error(err)
	}
	g.see("a/0", ready)
	g.at(2 * time.Minute).at(2*time.Minute + 1).phase(v1alpha1.WorkflowAwaitingApproval)
	if g.record.Summary != "+2 ~0 -0" {
		t.Errorf("the plan is %+v", g.record.PlanStatus)
	}

	g = govern(t, first) // whether its child is there or not: it is ordered
	for _, seen := range []Sight{{}, going} {
		g.see("a/0", seen)
		g.edited(afterApproval + first).at(time.Minute).phase(v1alpha1.WorkflowPlanning).want("Running: a/0 Running, b/0 Pending")
	}
	g.see("a/0", ready)
	if g.at(2 * time.Minute); !g.wake.Equal(g.now) {
		t.Error("what is in flight has ended, and nobody is woken to make the plan")
	}
	g.at(2*time.Minute + 1).phase(v1alpha1.WorkflowAwaitingApproval).want("Running: a/0 Succeeded, b/0 Pending")
	if g.record.Summary != "+1 ~0 -0" {
		t.Errorf("the plan is %+v", g.record.PlanStatus)
	}

	timed := ops(srv("a", 1, "small", ", timeout: 10s"), srv("b", 1, "small", ", dependsOn: [{operation: a}]")) // what hangs has its time, and no more
	g = govern(t, timed)
	g.see("a/0", going)
	g.at(time.Second)
	g.edited(afterApproval + timed).at(time.Minute).want("Failed: a/0 Failed, b/0 Omitted")

	g = govern(t, "onFailure: Rollback\n"+first)
	g.see("a/0", stalled(1))
	g.at(time.Minute).phase(v1alpha1.WorkflowUndoing)
	g.edited(afterApproval + "onFailure: Rollback\n" + first).at(2 * time.Minute).phase(v1alpha1.WorkflowUndoing)
}

// TestGateHoldsOtherVerbs: what waits for approval can be called off, and its time does not run.
func TestGateHoldsOtherVerbs(t *testing.T) {
	g := govern(t, afterApproval+"timeout: 60s\n"+ops(srv("a", 1, "small", "")))
	g.at(time.Hour).phase(v1alpha1.WorkflowAwaitingApproval).by("jane", "approve: "+g.record.Hash)
	g.at(2 * time.Hour).want("Running: a/0 Running")

	g = govern(t, afterApproval+ops(srv("a", 1, "small", "")))
	g.ask("cancel: no")
	g.at(time.Minute).want("Cancelled: a/0 Cancelled").at(2 * time.Minute).phase(v1alpha1.WorkflowCancelled)

	g = govern(t, "suspend: true\n"+afterApproval+ops(srv("a", 1, "small", ""))).phase(v1alpha1.WorkflowAwaitingApproval)
	g.by("jane", "approve: "+g.record.Hash)
	g.at(time.Minute).phase(v1alpha1.WorkflowSuspended).want("Running: a/0 Pending")
}

// TestApprovalOfAnOperationBehindAPlan: the plan first, then what is in it.
func TestApprovalOfAnOperationBehindAPlan(t *testing.T) {
	g := govern(t, afterApproval+ops(approval("gate", ""), srv("a", 1, "small", ", dependsOn: [{operation: gate}]")))
	g.by("jane", "approve: gate")
	g.at(time.Minute).phase(v1alpha1.WorkflowAwaitingApproval).want("Running: gate/0 Pending, a/0 Pending")
	g.by("jane", "approve: "+g.record.Hash)
	g.at(2 * time.Minute).phase(v1alpha1.WorkflowAwaitingApproval)
	if !strings.Contains(g.verdict().Error(), `awaiting approval of "gate"`) {
		t.Error(g.verdict())
	}
	g.by("joe", "approve: gate@2")
	g.at(3 * time.Minute).want("Running: gate/0 Succeeded, a/0 Running")
}
