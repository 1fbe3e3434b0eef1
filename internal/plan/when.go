package plan

import (
	"fmt"
	"slices"

	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// compileConditions compiles what decides whether an operation is wanted at all, and checks that are conditions, once a
// generation, and makes sure that what they read comes first.
func (c *compiler) compileConditions() {
	for k := range c.out.ops {
		op := &c.out.ops[k]
		if op.When != "" {
			op.when = c.condition(k, "when", op.When, false)
		}
		if op.Check != nil && op.Check.Condition != "" {
			op.gate = c.condition(k, "check.condition", op.Check.Condition, true)
		}
	}
}

// condition compiles one condition; nil when it is refused.
func (c *compiler) condition(k int, field, text string, children bool) *expr.Condition {
	c.at(k, field)
	place := fmt.Sprintf("operation %q: %s", c.out.ops[k].Name, field)
	condition, err := expr.Compile(text)
	switch {
	case err != nil:
		c.fault(fault.ReasonInvalid, "%s: %w", place, err)
		return nil
	case condition.Whole():
		c.fault(fault.ReasonInvalid, `%s: write out the name of each operation: operations.NAME or operations["NAME"]`, place)
		return nil
	case condition.Children() && !children:
		c.fault(fault.ReasonInvalid, "%s: children are not known to it, only operations are", place)
		return nil
	}
	for _, mention := range condition.Mentions() {
		c.checkMention(k, place, mention)
	}
	return condition
}

func (c *compiler) checkMention(k int, place string, mention expr.Mention) {
	from := c.find(mention.Operation)
	switch {
	case from < 0 && slices.ContainsFunc(c.out.ops[k].DependsOn, optionalOn(mention.Operation)):
		return
	case from < 0:
		c.fault(fault.ReasonUnknownDependency, "%s: operation %q does not exist: correct its name, or add it to dependsOn with type Optional", place, mention.Operation)
		return
	case !c.before(from, k):
		c.fault(fault.ReasonInvalid, "%s: how %q ended is known only once it has: add it to dependsOn", place, mention.Operation)
		return
	}
	for _, key := range mention.Keys {
		c.give(from, key)
	}
}

// wanted decides an operation's condition when it could start. Where it is false, the operation is Skipped; where it cannot be
// decided, it has failed. Once an instance was ordered it was decided.
func (a *advance) wanted(k int) bool {
	op, counts := &a.w.ops[k], a.l.OpCounts(k)
	if op.when == nil || counts[saga.Pending] < counts.Total() {
		return true
	}
	for n := range op.count {
		if a.l.Marks[a.l.Instance(k, n)].Has(saga.Touched) { // another try was asked for
			return true
		}
	}
	wanted, err := op.when.Eval(expr.Values{Operations: a.known(op.when)})
	switch {
	case err != nil:
		a.failPending(k, fmt.Sprintf("when: %v", err))
		return false
	case !wanted:
		for n := range op.count {
			a.settle(a.l.Instance(k, n), saga.Skipped, "", "")
		}
	}
	return wanted
}

// ask decides a check that is a condition, once an attempt. What was ordered in this very call is asked at the next look: its
// order is durable first.
func (a *advance) ask(k, i int) {
	if a.open(k); a.round > 0 {
		a.wakeAt(a.now)
		return
	}
	op := &a.w.ops[k]
	values := expr.Values{Operations: a.known(op.gate)}
	if op.gate.Children() {
		values.Children = a.children(k)
	}
	switch well, err := op.gate.Eval(values); {
	case err != nil:
		a.attemptFailed(op, i, string(fault.ReasonInvalid), fmt.Sprintf("check.condition: %v", err))
	case !well:
		a.attemptFailed(op, i, string(fault.ReasonExpectationFailed), "check.condition is false: "+clip(op.Check.Condition, keptBytes))
	default:
		a.settle(i, saga.Succeeded, "", "")
	}
}

// children is what a check sees of the children of what its operation depends on, by operation and key. One that is not there
// is not in it.
func (a *advance) children(k int) map[string]any {
	seen := map[string]any{}
	for _, arc := range a.w.graph.Preds(k) {
		op, all := &a.w.ops[arc.Op], map[string]any{}
		for n := range op.count {
			s, ok := a.sights[op.first+n]
			if !ok || !s.Exists {
				continue
			}
			outputs := map[string]any{}
			for key, value := range s.Outputs {
				outputs[key] = value
			}
			all[op.key(n)] = map[string]any{
				"kind": op.child, "name": a.w.names[op.first+n], "ready": s.Ready, "reason": s.Reason, "message": s.Message, "outputs": outputs,
			}
		}
		seen[op.Name] = all
	}
	return seen
}

// known is what a condition sees of the operations that it mentions.
func (a *advance) known(condition *expr.Condition) map[string]any {
	seen := map[string]any{}
	for _, mention := range condition.Mentions() {
		k, ok := a.w.index[mention.Operation]
		if !ok {
			continue
		}
		outputs := map[string]any{}
		for key, value := range a.l.Ops[k].Outputs {
			outputs[key] = value
		}
		c := a.l.OpCounts(k)
		seen[mention.Operation] = map[string]any{
			"phase": phaseOf(c), "total": int64(c.Total()), "succeeded": int64(c[saga.Succeeded]),
			"failed": int64(c[saga.Failed] + c[saga.Unknown]), "outputs": outputs,
		}
	}
	return seen
}

// phaseOf is the phase of a whole operation: that of the instance that matters most.
func phaseOf(c *saga.Counts) string {
	for _, phase := range []saga.Phase{saga.Failed, saga.Unknown, saga.Cancelled, saga.Omitted, saga.Running, saga.Retrying, saga.Pending, saga.Succeeded} {
		if c[phase] > 0 {
			return phase.String()
		}
	}
	return saga.Skipped.String()
}
