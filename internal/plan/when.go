package plan

import (
	"fmt"
	"slices"

	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// compileConditions compiles what decides whether an operation is wanted at all, once a generation, and checks that what it
// reads comes first.
func (c *compiler) compileConditions() {
	for k := range c.out.ops {
		op := &c.out.ops[k]
		if op.When == "" {
			continue
		}
		place := fmt.Sprintf("operation %q: when", op.Name)
		condition, err := expr.Compile(op.When)
		switch {
		case err != nil:
			c.fault(fault.ReasonInvalid, "%s: %w", place, err)
			continue
		case condition.Whole():
			c.fault(fault.ReasonInvalid, `%s: write out the name of each operation: operations.NAME or operations["NAME"]`, place)
			continue
		case condition.Children():
			c.fault(fault.ReasonInvalid, "%s: children are not known to it, only operations are", place)
			continue
		}
		op.when = condition
		for _, mention := range condition.Mentions() {
			c.checkMention(k, place, mention)
		}
	}
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
		if a.l.Ordered(a.l.Instance(k, n)) { // another try was asked for
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
