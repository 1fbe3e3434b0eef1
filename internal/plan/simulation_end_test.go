package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// need is an instance that another one waits for.
type need struct {
	instance int
	soft     bool
}

// learn takes the graph from the ledger's own copy of it, instance by instance.
func (c *checks) learn(l *saga.Ledger) {
	n := l.N()
	c.succeeded, c.finished, c.limits = make([]bool, n), make([]bool, n), make([]int, n)
	c.needs, c.rests, c.opOf = make([][]need, n), make([][]int, n), nil
	c.locate(l)
	for i, phase := range l.Phases { // what goes on from an earlier plan
		c.succeeded[i], c.finished[i] = phase == saga.Succeeded, phase.Terminal()
		c.limits[i] = c.w.workflow(c.w.flow).limit()
	}
	for k := range l.Ops {
		for range l.Ops[k].Count {
			c.opOf = append(c.opOf, k)
		}
	}
	direct := make([][]int, n)
	for i := range n {
		for _, p := range l.Ops[c.opOf[i]].Preds {
			op := &l.Ops[p.Op]
			for j := int(op.First); j < int(op.First+op.Count); j++ {
				switch {
				case !p.Same || l.Key(i) == l.Key(j):
					c.needs[i] = append(c.needs[i], need{j, p.Soft})
					direct[j] = append(direct[j], i)
				case strings.HasSuffix(l.Key(i), saga.KeyOpen): // it stands for any of them, and what rests on it for what would
					direct[j] = append(direct[j], i)
				}
			}
		}
	}
	for i := range n {
		met := make([]bool, n)
		for stack := []int{i}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			for _, above := range direct[at] {
				if !met[above] {
					met[above] = true
					stack, c.rests[i] = append(stack, above), append(c.rests[i], above)
				}
			}
		}
	}
}

// told looks at what people read.
func (c *checks) told(o *operator) {
	status := Summarise(o.workflow, o.ledger, o.sights)
	text, err := json.Marshal(status)
	if err != nil || len(text) > 32<<10 || len(status.Operations) > 64 || len(status.Leftovers) > 64 {
		c.fail("the summary has %d operations and %d bytes: %v", len(status.Operations), len(text), err)
	}
	if err := Verdict(o.workflow, o.ledger, time.Second); err != nil && len(err.Error()) > 1<<10 {
		c.fail("the verdict is %d bytes long", len(err.Error()))
	}
}

// describe says where the durable ledger stands.
func (c *checks) describe() string {
	l := c.w.durable
	if l == nil {
		return "nothing was recorded"
	}
	lines := []string{fmt.Sprintf("%s run %d, mode %s, generation %d", l.Phase, l.Run, c.w.flow.Spec.Mode, c.w.flow.Generation)}
	if record := c.w.checkpoint.plan; record != nil {
		lines = append(lines, fmt.Sprintf("plan %s %s, approved %v", record.Hash, record.Summary, record.ApprovedAt != nil))
	}
	for i, phase := range l.Phases {
		lines = append(lines, fmt.Sprintf("%s[%s] %s %d since %d marks %d %s", l.Ops[l.OpOf(i)].Name, l.Key(i), phase, l.Attempts[i], l.Since[i], l.Marks[i], l.Reason(i)))
	}
	for _, h := range c.w.children {
		if live := h.live(); live != nil {
			lines = append(lines, fmt.Sprintf("%s of %s exists, leaving %v", h.name, h.name, live.GetDeletionTimestamp() != nil))
		}
	}
	return strings.Join(lines, "\n  ")
}

// end looks at a world in which nothing happens any more.
func (c *checks) end(operators []*operator) {
	l := c.w.durable
	if l != nil && c.w.flow.Annotations["approver"] == "none" && operators[0].workflow.awaitsApproval(l) {
		c.w.visited.see("ended awaiting approval")
		return
	}
	if l != nil && operators[0].workflow.Gated() && (c.w.flow.Annotations["approver"] == "none" || c.w.flow.Spec.Mode == v1alpha1.ModePlan) {
		c.w.visited.see("ended " + string(operators[0].workflow.gate.Phase))
		return
	}
	if l != nil && !l.Phase.Terminal() && slices.ContainsFunc(c.w.children, c.waitsForEver) {
		c.w.visited.see("waits for what cannot go")
		return
	}
	if l == nil || !l.Phase.Terminal() {
		c.fail("I11: the workflow has not ended and nothing wakes anybody: %s", c.describe())
		return
	}
	counts := l.Counts()
	if counts.Live()+counts[saga.Pending] > 0 {
		c.fail("I11: it has ended and something runs: %s", c.describe())
	}
	switch l.Phase {
	case saga.RunSucceeded:
		for i, phase := range l.Phases {
			lost := l.Reason(i) == string(fault.ReasonCheckpointLost) || l.Compact && c.w.losses > 0 // with its story its reason is forgotten
			allowed := phase == saga.Omitted || (phase == saga.Unknown || phase == saga.Cancelled) && lost || c.ignores(operators[0].workflow, i) && (phase == saga.Failed || phase == saga.Unknown)
			if phase != saga.Succeeded && phase != saga.Skipped && !allowed {
				c.fail("I11: it succeeded without all: %s", c.describe())
			}
		}
	case saga.RunCancelled:
		if l.Stop != saga.StopCancelled && l.Stop != saga.StopAborted && counts[saga.Cancelled] == 0 && c.w.losses == 0 {
			c.fail("I11: it is cancelled and nobody asked for it: %s", c.describe())
		}
	case saga.RunRolledBack:
		if c.w.losses == 0 && c.standing(operators[0].workflow, l) > 0 || counts[saga.UndoFailed] > 0 {
			c.fail("I7: it is rolled back, and not all of it: %s", c.describe())
		}
	case saga.RunRollbackFailed:
		left := Summarise(operators[0].workflow, l, operators[0].sights).Leftovers
		if counts[saga.UndoFailed] == 0 && c.w.losses == 0 || len(left) != int(min(counts[saga.UndoFailed], maxShown)) {
			c.fail("I11: %d leftovers are listed: %s", len(left), c.describe())
		}
	}
	if !c.w.workflow(c.w.flow).Fits(l) {
		c.fail("I15: the last edit was not planned: %s", c.describe())
		return
	}
	for _, h := range c.w.children {
		c.atRest(h, l)
	}
	c.asWanted(l)
	c.powers(operators[0].workflow, l)
	for _, o := range operators {
		if len(Act(o.workflow, l, o.sights)) > 0 || len(o.strays) > 0 {
			c.fail("I14: there is still something to do at rest")
		}
	}
}

// waitsForEver reports whether a server that is to be made anew waits for something on it that cannot go: people read that on it.
func (c *checks) waitsForEver(h *history) bool {
	live := h.live()
	if live == nil || live.GetDeletionTimestamp() == nil || !c.w.held(h) || h.place < 0 || h.place >= c.w.durable.N() {
		return false
	}
	switch c.w.durable.Phases[h.place] {
	case saga.Running:
		return true
	case saga.Undoing: // another hand deletes it while something is on it; or a Run on it was on its way out before, and cannot go. This run does not undo either.
		return slices.ContainsFunc(c.w.children, func(user *history) bool {
			if user.place >= 0 && user.place < c.w.durable.N() && c.w.durable.Phases[user.place] == saga.Undoing {
				return false
			}
			switch on := user.live().(type) {
			case *v1alpha1.TaskService:
				return c.w.leaf(h).vanished > 0 && slices.Contains(on.Spec.Servers.Names, h.name)
			case *v1alpha1.Run:
				there := on.Spec.Target != nil && on.Spec.Target.ServerRef.Name == h.name
				return there && (c.w.leaf(h).vanished > 0 || on.DeletionTimestamp != nil && c.w.leaf(user).stuck)
			}
			return false
		})
	}
	return false
}

func (c *checks) ignores(w *Workflow, i int) bool {
	return w.ops[c.opOf[i]].policy == v1alpha1.FailureIgnore
}

// standing counts what was ordered and is neither undone nor irreversible, but for what is to be kept.
func (c *checks) standing(w *Workflow, l *saga.Ledger) (n int) {
	for i, phase := range l.Phases {
		if l.Marks[i].Has(saga.Touched) && phase != saga.Undone && phase != saga.Irreversible {
			if c.keeps(w, l, i) || slices.ContainsFunc(c.rests[i], func(above int) bool { return c.keeps(w, l, above) }) {
				c.w.visited.see("kept by keepOnUndo")
				continue
			}
			n++
		}
	}
	return n
}

func (c *checks) keeps(w *Workflow, l *saga.Ledger, i int) bool {
	return w.ops[c.opOf[i]].KeepOnUndo && l.Marks[i].Has(saga.Touched)
}

// atRest looks at one child, or at its absence, when all is over.
func (c *checks) atRest(h *history, l *saga.Ledger) {
	live, f := h.live(), c.w.leaf(h)
	switch n := l.N(); {
	case h.place >= n && h.place < 2*n: // the Run that undid a command
		return
	case h.place >= 2*n:
		if live == nil && f.vanished == 0 && f.isLeft && f.takes == 0 {
			c.fail("I1: %s was left in place and is not there", h.name)
		}
		return
	case h.place < 0:
		if live != nil && live.GetDeletionTimestamp() == nil {
			c.fail("I8: %s is left over, and nothing knows of it", h.name)
		}
		return
	case l.Stands(h.place) && l.Phases[h.place] != saga.Succeeded:
		return
	}
	phase := l.Phases[h.place]
	switch phase {
	case saga.Undone, saga.Pending, saga.Omitted:
		if live != nil && !(f.stuck && live.GetDeletionTimestamp() != nil) { // a stray's deletion may stall like any other
			c.fail("I8: %s is left over, and its instance is %s", h.name, phase)
		}
	case saga.Succeeded:
		forgotten := h.kind == KindRun && f.takes > 0 // with an earlier story, or stopped before its effect was found to be irreversible
		if live == nil && f.vanished == 0 && !forgotten {
			c.fail("I1: %s succeeded and is not there: %s", h.name, c.describe())
		}
	}
}
