package plan

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// checks are the invariants. They follow from the spec and from what is durable, not from the engine.
type checks struct {
	w       *world
	problem error // the first one found

	places    Places           // in the durable ledger
	under     *Workflow        // as the durable ledger knows it
	before    map[string]Child // what stood when the present run began
	opOf      []int
	needs     [][]need // by instance: what it waits for
	rests     [][]int  // by instance: what depends on it, directly or not
	succeeded []bool   // by instance: its success was durable at some time
	finished  []bool
	limits    []int            // by instance: the limit in force when it was started
	kept      map[leftKey]bool // what this run had ordered before its operations were edited: the plan is another one since
	foretold  map[string]Deed  // by name of the child: what the plan says by which the run goes on; nil: there is none
}

func (c *checks) fail(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if c.problem == nil {
		c.problem = err
	}
	return err
}

// reach holds, for each phase, what the table allows in any number of steps.
var reach = closure(saga.NumPhases, saga.CanMove)
var reachRun = closure(saga.NumRunPhases, saga.CanMoveRun)

// reachAsked holds what it allows when somebody asked for another try.
var reachAsked = closure(saga.NumPhases, func(a, b saga.Phase) bool { return saga.CanMove(a, b) || saga.CanRepeat(a, b) })
var reachRunAsked = closure(saga.NumRunPhases, func(a, b saga.RunPhase) bool { return saga.CanMoveRun(a, b) || saga.CanReopen(a, b) })

func closure[P saga.Phase | saga.RunPhase](n P, can func(a, b P) bool) map[[2]P]bool {
	out := map[[2]P]bool{}
	for a := range n {
		for b := range n {
			out[[2]P{a, b}] = a == b || can(a, b)
		}
	}
	for via := range n {
		for a := range n {
			for b := range n {
				out[[2]P{a, b}] = out[[2]P{a, b}] || out[[2]P{a, via}] && out[[2]P{via, b}]
			}
		}
	}
	return out
}

// recorded looks at what replaces the durable ledger.
func (c *checks) recorded(o *operator, read, next *saga.Ledger) {
	if !read.Equal(next) {
		c.fail("I9: what was stored reads differently")
	}
	old := c.w.durable
	switch {
	case c.opOf == nil:
		c.learn(read)
	case old.SpecHash != read.SpecHash || old.Run != read.Run:
		c.replanned(old, read)
		c.learn(read)
		c.foretold = nil
		return
	case !maps.Equal(spansOf(old), spansOf(read)):
		old = c.expanded(o, old, read)
	}
	defer c.locate(read)
	started, asked, reached := 0, c.asked(old, read), reach
	if asked {
		reached = reachAsked
		if old.Handled[v1alpha1.VerbRetry] != read.Handled[v1alpha1.VerbRetry] {
			c.foretold = nil // what failed meanwhile is done once more
		}
	}
	for i, to := range read.Phases {
		from := saga.Pending
		if old != nil {
			from = old.Phases[i]
			if read.Attempts[i] < old.Attempts[i] && !read.Compact || to == saga.Running && from == saga.Retrying && read.Attempts[i] == old.Attempts[i] {
				c.fail("I4: attempts of instance %d go from %d to %d", i, old.Attempts[i], read.Attempts[i])
			}
		}
		if !reached[[2]saga.Phase{from, to}] {
			c.fail("I4: instance %d goes from %s to %s", i, from, to)
		}
		if isLive(to) && !isLive(from) {
			started++
			c.limits[i] = o.workflow.limit()
		}
		c.believed(old, read, i)
		c.ungated(o, old, read, i)
		rebuilt := old != nil && old.Since[i] == 0 && old.Ordered(i) // what it is asked once more is no start
		if read.Since[i] > 0 && !rebuilt && (old == nil || old.Since[i] != read.Since[i]) {
			c.started(o.workflow, old, read, i)
		}
		c.approved(o.workflow, old, read, i)
		if from == saga.Unknown && to != saga.Unknown && old.Reason(i) == string(fault.ReasonCheckpointLost) && asked {
			c.w.visited.see("a lost instance is tried again")
			c.succeeded[i] = false // somebody has looked
			if h := c.childOf(i); h != nil {
				c.w.leaf(h).created = 0
			}
		}
		c.succeeded[i] = c.succeeded[i] || to == saga.Succeeded || to == saga.Skipped
		c.finished[i] = c.finished[i] || to.Terminal()
	}
	counts := read.Counts()
	if limit := o.workflow.limit(); started > 0 && int(counts.Live()) > limit {
		c.fail("I6: %d instances are started and not ended, and the limit is %d", counts.Live(), limit)
	}
	if old != nil {
		c.compareRuns(old, read, c.w.lost || o.gate.Record != c.w.checkpoint.plan)
	}
}

// approved looks at an approval that is recorded as given: it was asked for durably before, and somebody gave it.
func (c *checks) approved(w *Workflow, old, read *saga.Ledger, i int) {
	op := &w.ops[c.opOf[i]]
	if op.Approval == nil || read.Phases[i] != saga.Succeeded && read.Phases[i] != saga.Undone || old != nil && old.Phases[i] != saga.Pending {
		return
	}
	c.w.visited.see("approved")
	switch {
	case !c.w.approved[op.Name]:
		c.fail("approved by nobody: %s", op.Name)
	case old == nil || !old.Asked(i):
		c.fail("approved before it was asked for: %s", op.Name)
	}
	if old != nil && old.Refusal != "" && strings.Contains(old.Refusal, v1alpha1.VerbApprove) {
		c.w.visited.see("approved after it had been refused")
	}
}

// asked reports whether a request was acted on.
func (c *checks) asked(old, read *saga.Ledger) bool {
	if old == nil || maps.Equal(old.Handled, read.Handled) {
		return false
	}
	switch {
	case read.Refusal != "":
		c.w.visited.see("request refused")
	case old.Phase.Terminal() && read.Phase == saga.RunRunning:
		c.w.visited.see("run goes on")
	case old.Phase.Terminal() && read.Phase == saga.RunUndoing:
		c.w.visited.see("undone after its end")
	}
	return true
}

// believed looks whether what is now held for true about a child was ever so.
func (c *checks) believed(old, read *saga.Ledger, i int) {
	h, failed := c.childOf(i), int32(read.Attempts[i])
	if old == nil || old.Phases[i] == read.Phases[i] && old.Attempts[i] == read.Attempts[i] {
		return
	}
	if read.Phases[i] == saga.Skipped {
		c.w.visited.see("skipped by its condition")
	}
	if h == nil {
		return
	}
	f := c.w.leaf(h)
	c.inTime(old, read, i)
	switch read.Phases[i] {
	case saga.Undone:
		if old.Phases[i] == saga.UndoFailed {
			c.w.visited.see("undone after it had failed")
		} else if read.Tries[i] > 1 {
			c.w.visited.see("undone at another try")
		}
		switch live := h.live(); {
		case live == nil || f.byStale || c.scripted(h):
		case read.Marks[i].Has(saga.Stood) && h.kind != KindRun:
			if s := LookAt(live); s.Effect != EffectReverted || s.Run != read.Run {
				c.fail("I10: %s is held to be put back and is %s by run %d", h.name, s.Effect, s.Run)
			}
		default:
			c.fail("I10: %s is held to be gone and exists", h.name)
		}
		return
	case saga.Running:
		failed--
	case saga.Retrying, saga.Failed:
	default:
		return
	}
	if read.Reason(i) == string(fault.ReasonQuotaExceeded) && f.stalledAt < failed {
		c.fail("an attempt is used up that the child has not taken up: %d of instance %d, after %d", failed, i, f.stalledAt)
	}
}

// inTime looks whether an attempt had its time before it was over: that of its queue, and that for which the run was held, do
// not count.
func (c *checks) inTime(old, read *saga.Ledger, i int) {
	f, spec := c.w.leaf(c.childOf(i)), c.w.operation(read.Ops[c.opOf[i]].Name)
	if spec == nil || read.Reason(i) != string(fault.ReasonTimedOut) || old.Phases[i] != saga.Running || f.vanished+f.stale > 0 || spec.Timeout == nil ||
		f.told < toldWorking || f.attempt != int32(read.Attempts[i]) || spec.TotalTimeout != nil || c.w.flow.Spec.Timeout != nil {
		return
	}
	held := time.Duration(max(read.Held-f.heldAt, 0)) * time.Second
	whole := time.Second * time.Duration(1+2*(c.w.suspends-f.suspends)) // the ledger keeps whole seconds
	if had := c.w.now.Sub(f.worksAt) - held + whole; had < spec.Timeout.Duration {
		c.fail("an attempt of instance %d that had %s is said to have had %s", i, had, spec.Timeout.Duration)
	}
}

func (c *checks) childOf(i int) *history {
	for _, h := range c.w.children {
		if h.place == i {
			return h
		}
	}
	return nil
}

func (c *checks) compareRuns(old, read *saga.Ledger, planned bool) {
	reached, asked := reachRun, !maps.Equal(old.Handled, read.Handled)
	if asked {
		reached = reachRunAsked
	}
	if !reached[[2]saga.RunPhase{old.Phase, read.Phase}] {
		c.fail("I4: the run goes from %s to %s", old.Phase, read.Phase)
	}
	if read.Compact && !old.Compact {
		c.w.visited.see("story forgotten")
		return
	}
	if old.Phase.Terminal() && !asked && !planned { // the plan of the next run is recorded beside it
		c.fail("I14: something is written about a run that is over: %s", old.Phase)
	}
	if old.Cause.Reason != "" && read.Cause != old.Cause && !asked {
		c.fail("the cause was %+v, and is now %+v", old.Cause, read.Cause)
	}
	for k := range old.Ops {
		for key, value := range old.Ops[k].Outputs {
			if now, there := read.Ops[k].Outputs[key]; there && now != value {
				c.fail("outputs of operation %q changed after they were frozen", old.Ops[k].Name)
			}
		}
	}
}

func isLive(p saga.Phase) bool { return p == saga.Running || p == saga.Retrying || p == saga.Undoing }

// started looks at an instance that is ordered for the first time.
func (c *checks) started(w *Workflow, old, l *saga.Ledger, i int) {
	if l.Phases[i] == saga.Undone {
		return // without a child and over at once: the whole way there and back is in this record
	}
	for j, phase := range l.Phases {
		if phase == saga.Failed && (old == nil || !isLive(old.Phases[j])) {
			return // a value was found missing after this one was started, in one pass
		}
	}
	if w.ops[c.opOf[i]].Approval != nil {
		return // it was given before the rest of this record came to pass: see approved
	}
	for j, phase := range l.Phases {
		policy := w.ops[c.opOf[j]].policy
		if (phase == saga.Failed || phase == saga.Unknown) && (policy == v1alpha1.FailureFail || policy == v1alpha1.FailureRollback) {
			c.fail("%s[%s] is started although %s[%s] is %s: %s: %s", l.Ops[c.opOf[i]].Name, l.Key(i), l.Ops[c.opOf[j]].Name, l.Key(j), phase, l.Reason(j), c.describe())
		}
	}
	if l.Stop != saga.StopNone {
		c.fail("%s[%s] is started although the run was stopped: %s", l.Ops[c.opOf[i]].Name, l.Key(i), l.Cause.Message)
	}
	for _, before := range c.needs[i] {
		if phase := l.Phases[before.instance]; !phase.Terminal() || !before.soft && phase != saga.Succeeded && phase != saga.Skipped {
			c.fail("I5: instance %d is started while %d, which it depends on, is %s", i, before.instance, phase)
		}
	}
	for _, p := range l.Ops[c.opOf[i]].Preds {
		if counts := l.OpCounts(int(p.Op)); counts.Settled() < counts.Total() {
			c.w.visited.see("started before its operation's predecessor had ended")
		}
	}
}

// advanced looks at the engine itself: it changes nothing that it was given, and its answer is a fixed point.
func (c *checks) advanced(o *operator, before *saga.Ledger) {
	if !before.Equal(o.ledger) {
		c.fail("Advance changed the ledger that it was given")
	}
	if again := !o.wake.IsZero() && !o.wake.After(c.w.now); again || c.w.rng.IntN(8) > 0 || c.w.flow.Annotations["short-waits"] != "" {
		return
	}
	again, _, err := Advance(c.w.broken.engine(o.workflow, o.next), o.next, o.sights, o.asked(), c.w.now)
	if err != nil || again != o.next {
		c.fail("Advance is not at a fixed point: %v", err)
	}
}
