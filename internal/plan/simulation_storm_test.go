package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// storm is one thing that happens while anything may.
func (s *simulation) storm() {
	o := s.operators[s.rng.IntN(len(s.operators))]
	switch n := s.rng.IntN(100); {
	case n < 50:
		s.turn(o)
	case n < 70:
		if len(s.children) > 0 {
			s.work(s.children[s.rng.IntN(len(s.children))])
		}
	case n < 80:
		o.watch(min(s.version, o.seen+s.rng.Int64N(12)))
	case n < 90:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(1500 * time.Millisecond))))
	case n < 94:
		s.leap()
	case n < 96:
		if len(o.todo) > 0 {
			s.visited.see("crash before " + strings.SplitN(o.todo[0].what, ":", 2)[0])
		}
		s.trace("%s dies", o.name)
		o.start()
	case n < 98:
		o.frozen = s.rng.IntN(80)
	default:
		s.mischief()
	}
}

// turn lets an operator do one step.
func (s *simulation) turn(o *operator) {
	switch {
	case o.frozen > 0:
		if o.frozen--; o.frozen == 0 {
			o.thaw()
		}
	case len(o.todo) > 0:
		o.step()
		if len(s.operators) > 1 && len(o.todo) > 0 && strings.HasPrefix(o.todo[0].what, "deed") && s.rng.IntN(12) == 0 {
			o.frozen = 20 + s.rng.IntN(300) // until its order may be out of date
		}
	case o.due() || s.rng.IntN(8) == 0:
		o.look()
	}
}

// mischief is what people do.
func (s *simulation) mischief() {
	if plan := s.told.Plan; plan != nil && !slices.Contains(s.read, plan.Hash) {
		s.read = append(s.read, plan.Hash)
	}
	switch n := s.rng.IntN(10); {
	case n == 9 && s.editing:
		s.editOperations()
	case (n < 2 || n < 5 && s.told.Plan != nil && s.told.Plan.ApprovedAt == nil) && len(s.children) > 0:
		h := s.children[s.rng.IntN(len(s.children))]
		if h.live() != nil && h.live().GetDeletionTimestamp() == nil {
			s.trace("%s vanishes", h.name)
			s.vanish(h)
		}
	case n < 4:
		s.visited.see("suspend toggled")
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = !spec.Suspend })
		s.suspends++
	case n < 6:
		s.visited.see("limit edited")
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.ParallelLimit = int32(1 + s.rng.IntN(5)) })
	case n < 7:
		s.ask()
	case n < 8 && s.flow.Annotations["approver"] != "none":
		s.approve(s.worthy())
	case n == 7 && len(s.children) > 0:
		s.relist(s.children[s.rng.IntN(len(s.children))])
	case n == 8 && s.losing && s.told.Run != nil && s.rng.IntN(4) > 0: // before that nobody can know that there was a run
		s.loseCheckpoint()
	}
}

// ask is what people ask for by annotation; now and then it makes no sense.
func (s *simulation) ask() {
	next := s.flow.DeepCopy()
	verb, what := v1alpha1.VerbRetry, "all"
	switch n := s.rng.IntN(10); {
	case n < 2:
		what = s.flow.Spec.Operations[s.rng.IntN(len(s.flow.Spec.Operations))].Name
	case n < 5:
	case n < 7:
		verb = v1alpha1.VerbRollback
	case n < 8:
		verb = v1alpha1.VerbCancel
	case n < 9:
		verb, what = v1alpha1.VerbAbort, s.flow.Name
	default:
		verb, what = []string{v1alpha1.VerbRetry, v1alpha1.VerbAbort}[s.rng.IntN(2)], "nobody"
	}
	s.asks++
	s.visited.see("asked to " + verb)
	s.trace("somebody asks to %s %s", verb, what)
	next.Annotations[v1alpha1.VerbPrefix+verb] = fmt.Sprintf("%s@%d", what, s.asks)
	s.flow = next
}

// approve is what somebody approves: an operation that is awaited, or not yet, or no more, or that has no need of it. Now and then
// the value is the one that is there already, which means nothing.
func (s *simulation) approve(what string) {
	next := s.flow.DeepCopy()
	s.asks++
	value := fmt.Sprintf("%s@%d", what, s.asks)
	if old := next.Annotations[v1alpha1.VerbPrefix+v1alpha1.VerbApprove]; old != "" && s.rng.IntN(4) == 0 {
		s.visited.see("approval given again")
		value = old
		what, _, _ = strings.Cut(old, "@")
	}
	s.visited.see("asked to approve")
	s.trace("somebody approves %s", value)
	next.Annotations[v1alpha1.VerbPrefix+v1alpha1.VerbApprove] = value
	s.approved[what] = true
	s.flow = next
}

// worthy is what somebody may want to approve: an operation, the plan that they read of, or one that they read of before.
func (s *simulation) worthy() string {
	switch n := s.rng.IntN(10); {
	case s.flow.Spec.Mode == "" || len(s.read) == 0 || n < 2:
		return s.flow.Spec.Operations[s.rng.IntN(len(s.flow.Spec.Operations))].Name
	case n < 5:
		return s.read[s.rng.IntN(len(s.read))]
	}
	return s.read[len(s.read)-1]
}

// approveAtLast gives an approval for which all waits, unless nobody ever does.
func (s *simulation) approveAtLast() bool {
	if s.durable == nil || s.flow.Annotations["approver"] == "none" {
		return false
	}
	if record := s.checkpoint.plan; s.operators[0].workflow.Gated() && s.flow.Spec.Mode == v1alpha1.ModeApplyAfterApproval && record != nil && record.ApprovedAt == nil {
		return s.approvePlan(record.Hash)
	}
	workflow := s.workflow(s.flow)
	for _, k := range workflow.approvals {
		if workflow.awaitsApproval(s.durable) && s.durable.Asked(s.durable.Instance(k, 0)) {
			s.approve(workflow.ops[k].Name)
			return true
		}
	}
	return false
}

// leap goes to the next moment at which a leaf or an operator is due.
func (s *simulation) leap() bool {
	var next time.Time
	consider := func(t time.Time, ok bool) {
		if ok && t.After(s.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, h := range s.children {
		consider(s.due(h))
	}
	for _, o := range s.operators {
		consider(o.wake, !o.wake.IsZero())
	}
	if next.IsZero() {
		return false
	}
	s.now = next
	return true
}

// settle ends the storm: nothing fails any more, caches catch up, and nobody holds the workflow.
func (s *simulation) settle() {
	s.trace("calm")
	s.calm = true
	if s.flow.Spec.Suspend {
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = false })
		s.suspends++
	}
}

// calmly does what is due, or lets time pass. Nobody looks without being woken: a wake-up that the engine forgot to ask for is
// noticed. Who is frozen goes on when all else is at rest. It returns false when nothing is left to happen.
func (s *simulation) calmly() bool {
	busy := false
	for _, o := range s.operators {
		if o.frozen > 0 {
			continue
		}
		if len(o.todo) == 0 {
			o.watch(s.version)
			if !o.due() {
				continue
			}
			o.look()
		}
		for len(o.todo) > 0 {
			o.step()
		}
		busy = true
	}
	for _, h := range s.children {
		busy = s.work(h) || busy
	}
	return busy || s.leap() || s.clearAway() || slices.ContainsFunc(s.operators, func(o *operator) bool { return o.frozen > 0 && o.thaw() }) || s.approveAtLast()
}
