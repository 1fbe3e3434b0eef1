package plan

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// maxSuperseded is how many hashes of earlier plans are remembered.
const maxSuperseded = 8

// Gate holds a run back while its plan is not approved. The zero value lets it go.
type Gate struct {
	// Phase of the workflow while the gate is shut: Planning, Planned, AwaitingApproval or PlanStale; empty when it is open.
	Phase v1alpha1.WorkflowPhase
	// Record is the plan that is to be on record, beside the ledger and as durable; nil: none.
	Record *v1alpha1.CheckpointPlan
	// answer is what a new approval comes to, where the plan is what is approved: why it is refused, or "".
	answer   string
	answered bool
}

// Shut reports whether nothing new may start.
func (g Gate) Shut() bool { return g.Phase != "" }

// Judge says whether the run may go on by its plan. w is what goes on (see Under), was the plan on record (nil: none); world reads what
// the plan is made from, and is called only where it matters. What Judge answers must be recorded together with the ledger that
// Advance makes of it.
func (w *Workflow) Judge(l *saga.Ledger, was *v1alpha1.CheckpointPlan, sights Sights, world func() (World, error), asked Requests, now time.Time) (Gate, error) {
	to := w.newest()
	run := to.planned(l)
	if was != nil && was.Run != run {
		was = nil // of an earlier run, or of other operations
	}
	switch a := (&advance{w: w, l: l, sights: sights}); {
	case w.spec.Mode != v1alpha1.ModePlan && w.spec.Mode != v1alpha1.ModeApplyAfterApproval:
		return Gate{}, nil
	case l.Phase == saga.RunUndoing, l.Phase.Terminal() && to.Fits(l):
		return Gate{Record: was}, nil
	case w.spec.Mode == v1alpha1.ModeApplyAfterApproval && was != nil && was.ApprovedAt != nil:
		return Gate{Record: was}, nil
	case l.Phase == saga.RunRunning && a.inFlight():
		return Gate{Phase: v1alpha1.WorkflowPlanning, Record: was}, nil
	}
	seen, err := world()
	if err != nil {
		return Gate{}, err
	}
	preview, err := to.Foresee(l, seen)
	if err != nil {
		return Gate{}, err
	}
	record, err := recordOf(preview, run, was)
	if err != nil {
		return Gate{}, err
	}
	switch {
	case w.spec.Mode == v1alpha1.ModePlan:
		return Gate{Phase: v1alpha1.WorkflowPlanned, Record: record, answered: true, answer: "spec.mode is Plan, which runs nothing: set it to ApplyAfterApproval"}, nil
	case preview.Nothing():
		return Gate{Record: record}, nil
	case asked.New(l, v1alpha1.VerbApprove):
		return approvePlan(record, asked, now), nil
	}
	return Gate{Phase: awaiting(record), Record: record}, nil
}

// newest returns the workflow as it is written now.
func (w *Workflow) newest() *Workflow {
	if w.next != nil {
		return w.next
	}
	return w
}

// planned says which run of which operations a plan is for.
func (w *Workflow) planned(l *saga.Ledger) string {
	run := l.Run
	if l.Phase.Terminal() && !w.Fits(l) {
		run++
	}
	return fmt.Sprintf("%d %x", run, w.hash)
}

func awaiting(record *v1alpha1.CheckpointPlan) v1alpha1.WorkflowPhase {
	if record.Stale {
		return v1alpha1.WorkflowPlanStale
	}
	return v1alpha1.WorkflowAwaitingApproval
}

// recordOf makes what is kept of a plan. One that says the same as that on record is that one.
func recordOf(p *Preview, run string, was *v1alpha1.CheckpointPlan) (*v1alpha1.CheckpointPlan, error) {
	if was != nil && was.Hash == p.Hash {
		return was, nil
	}
	data, err := EncodePreview(p)
	if err != nil {
		return nil, err
	}
	record := &v1alpha1.CheckpointPlan{Run: run, Data: data}
	record.Hash, record.Summary, record.CostChange = p.Hash, p.Summary(), clip(p.Cost.String(), 256)
	record.Irreversible = p.Irreversible()
	record.Irreversible = record.Irreversible[:min(len(record.Irreversible), 16)]
	if was != nil {
		record.Stale = was.Stale
		record.Superseded = append(slices.Clone(was.Superseded), was.Hash)
		record.Superseded = record.Superseded[max(0, len(record.Superseded)-maxSuperseded):]
	}
	return record, nil
}

// approvePlan lets the run go when the approval names this very plan.
func approvePlan(plan *v1alpha1.CheckpointPlan, asked Requests, now time.Time) Gate {
	record, what := plan.DeepCopy(), asked.what(v1alpha1.VerbApprove)
	switch {
	case what == record.Hash:
		at := metav1.NewTime(now)
		record.ApprovedAt, record.ApprovedBy, record.Stale = &at, asked.approver(), false
		return Gate{Record: record, answered: true}
	case slices.Contains(record.Superseded, what):
		record.Stale = true
		return Gate{Phase: v1alpha1.WorkflowPlanStale, Record: record, answered: true,
			answer: fmt.Sprintf("that plan is stale: what it was made from has changed since. The plan is %s now", record.Hash)}
	}
	return Gate{Phase: awaiting(record), Record: record, answered: true, answer: fmt.Sprintf("the plan awaits approval, and its hash is %s", record.Hash)}
}

// Behind returns the workflow as it goes on behind that gate.
func (w *Workflow) Behind(g Gate) *Workflow {
	behind := *w
	behind.gate = g
	return &behind
}

// Gated reports whether the gate that it goes on behind is shut.
func (w *Workflow) Gated() bool { return w.gate.Shut() }

// held reports whether nothing new starts at present, because the workflow is suspended or its plan is not approved.
func (w *Workflow) held() bool { return w.spec.Suspend || w.gate.Shut() }

// told is the plan as the workflow's status tells it.
func (g Gate) told() *v1alpha1.PlanStatus {
	if g.Record == nil {
		return nil
	}
	return g.Record.PlanStatus.DeepCopy()
}

// words are the plan in a sentence.
func (g Gate) words() string {
	if g.Record == nil {
		return ""
	}
	text := fmt.Sprintf("plan %s: %s", g.Record.Hash, g.Record.Summary)
	if g.Record.CostChange != "" {
		text += "; cost " + g.Record.CostChange
	}
	if names := g.Record.Irreversible; len(names) > 0 {
		text += "; cannot be undone: " + someNames(names)
	}
	return text
}

// verdict is what a shut gate means for the workflow's conditions: nil when the plan is all that is wanted.
func (g Gate) verdict(l *saga.Ledger, after time.Duration) error {
	how := fmt.Sprintf("annotate %s%s with the hash", v1alpha1.VerbPrefix, v1alpha1.VerbApprove)
	refusal := ""
	if l.Refusal != "" {
		refusal = "; " + l.Refusal
	}
	switch g.Phase {
	case v1alpha1.WorkflowPlanned:
		return nil
	case v1alpha1.WorkflowAwaitingApproval:
		return fault.Waiting(v1alpha1.ReasonAwaitingApproval, after, "%s; awaiting approval: %s%s", g.words(), how, refusal)
	case v1alpha1.WorkflowPlanStale:
		return fault.New(fault.Terminal, fault.ReasonPlanStale,
			"the plan that was approved is stale, and nothing of it was done: what it was made from has changed since. It is now %s; look at it, then %s%s", g.words(), how, refusal)
	}
	return fault.Waiting(fault.ReasonInProgress, after, "what runs comes to its end, then the plan is made%s", refusal)
}

// Planned is what a workflow says of which the plan is all that is wanted.
func (w *Workflow) Planned(l *saga.Ledger) string {
	text := w.gate.words() + "; spec.mode is Plan, so nothing is done"
	if l.Refusal != "" {
		text += "; " + l.Refusal
	}
	return text
}
