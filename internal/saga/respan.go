package saga

import (
	"fmt"
	"slices"
)

// Respan returns the ledger with other instances: those of ops, which are the same operations in the same order, with other counts, keys
// or spans. Row i of it is row rows[i] of this one, with all that is known of it, or, for None, a new one that is Pending. Everything
// else stays. What an operation handed on is forgotten where its keys are others: it spoke of all instances, in their order.
func (l *Ledger) Respan(ops []Op, rows []int32) (*Ledger, error) {
	shape, err := New(l.Run, l.Started, l.SpecHash, l.Generation, ops)
	if err != nil {
		return nil, err
	}
	if len(ops) != len(l.Ops) || len(rows) != shape.N() {
		return nil, fmt.Errorf("%d operations with %d rows go on as %d with %d", len(l.Ops), shape.N(), len(ops), len(rows))
	}
	c := l.Clone()
	for k := range shape.Ops {
		op, was := &shape.Ops[k], &l.Ops[k]
		if op.Name != was.Name {
			return nil, fmt.Errorf("operation %q goes on as %q", was.Name, op.Name)
		}
		op.Opened, op.Outputs, op.Reason, op.Message = was.Opened, was.Outputs, was.Reason, was.Message
		if !sameKeys(op, was) {
			op.Outputs = nil
		}
	}
	c.Ops = shape.Ops
	c.Phases, c.Outcomes = pick(l.Phases, rows, Pending), pick(l.Outcomes, rows, Pending)
	c.Attempts, c.Tries, c.Since = pick(l.Attempts, rows, 0), pick(l.Tries, rows, 0), pick(l.Since, rows, 0)
	c.Starts, c.Begun, c.Spent = pick(l.Starts, rows, None), pick(l.Begun, rows, None), pick(l.Spent, rows, 0)
	c.Ends, c.Retries = pick(l.Ends, rows, None), pick(l.Retries, rows, None)
	c.Reasons, c.Forms, c.Marks = pick(l.Reasons, rows, 0), pick(l.Forms, rows, 0), pick(l.Marks, rows, 0)
	if c.Cause.Instance != None {
		c.Cause.Instance = None
		for i, row := range rows {
			if row == l.Cause.Instance {
				c.Cause.Instance = int32(i)
			}
		}
	}
	c.recount()
	return c, c.Check()
}

func sameKeys(a, b *Op) bool {
	return a.Count == b.Count && slices.Equal(a.Keys, b.Keys)
}

// pick makes a column of these rows of another one.
func pick[T any](column []T, rows []int32, none T) []T {
	out := make([]T, len(rows))
	for i, row := range rows {
		if out[i] = none; row != None {
			out[i] = column[row]
		}
	}
	return out
}
