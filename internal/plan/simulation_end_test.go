package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
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
	c.needs, c.rests = make([][]need, n), make([][]int, n)
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
				if !p.Same || l.Key(i) == l.Key(j) {
					c.needs[i] = append(c.needs[i], need{j, p.Soft})
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
	lines := []string{l.Phase.String()}
	for i, phase := range l.Phases {
		lines = append(lines, fmt.Sprintf("%s[%s] %s %d %s", l.Ops[l.OpOf(i)].Name, l.Key(i), phase, l.Attempts[i], l.Reason(i)))
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
			allowed := phase == saga.Omitted || c.ignores(operators[0].workflow, i) && (phase == saga.Failed || phase == saga.Unknown)
			if phase != saga.Succeeded && phase != saga.Skipped && !allowed {
				c.fail("I11: it succeeded without all: %s", c.describe())
			}
		}
	case saga.RunCancelled:
		if l.Stop != saga.StopCancelled && l.Stop != saga.StopAborted && counts[saga.Cancelled] == 0 {
			c.fail("I11: it is cancelled and nobody asked for it: %s", c.describe())
		}
	case saga.RunRolledBack:
		if c.standing(operators[0].workflow, l) > 0 || counts[saga.UndoFailed] > 0 {
			c.fail("I7: it is rolled back, and not all of it: %s", c.describe())
		}
	case saga.RunRollbackFailed:
		left := Summarise(operators[0].workflow, l, operators[0].sights).Leftovers
		if counts[saga.UndoFailed] == 0 || len(left) != int(min(counts[saga.UndoFailed], maxShown)) {
			c.fail("I11: %d leftovers are listed: %s", len(left), c.describe())
		}
	}
	for _, h := range c.w.children {
		c.atRest(h, l.Phases[h.instance])
	}
	for _, o := range operators {
		if len(Act(o.workflow, l, o.sights)) > 0 || len(o.strays) > 0 {
			c.fail("I14: there is still something to do at rest")
		}
	}
}

func (c *checks) ignores(w *Workflow, i int) bool {
	return w.ops[c.opOf[i]].policy == v1alpha1.FailureIgnore
}

// standing counts what was ordered and is neither undone nor irreversible, but for what is to be kept.
func (c *checks) standing(w *Workflow, l *saga.Ledger) (n int) {
	for i, phase := range l.Phases {
		if l.Ordered(i) && phase != saga.Undone && phase != saga.Irreversible {
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
	return w.ops[c.opOf[i]].KeepOnUndo && l.Ordered(i)
}

// atRest looks at one child, or at its absence, when all is over.
func (c *checks) atRest(h *history, phase saga.Phase) {
	live, f := h.live(), c.w.leaf(h)
	switch phase {
	case saga.Undone, saga.Pending, saga.Omitted:
		if live != nil && !(f.stuck && live.GetDeletionTimestamp() != nil) { // a stray's deletion may stall like any other
			c.fail("I8: %s is left over, and its instance is %s", h.name, phase)
		}
	case saga.Succeeded:
		forgotten := c.w.durable.Compact && h.kind == KindRun
		if live == nil && f.vanished == 0 && !forgotten {
			c.fail("I1: %s succeeded and is not there", h.name)
		}
	}
}
