package view

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Instance is one operation instance as the ledger knows it.
type Instance struct {
	Operation string             `json:"operation" yaml:"operation"`
	Key       string             `json:"key" yaml:"key"`
	Phase     string             `json:"phase" yaml:"phase"`
	Attempt   int                `json:"attempt,omitempty" yaml:"attempt,omitempty"`
	StartedAt *time.Time         `json:"startedAt,omitempty" yaml:"startedAt,omitempty"`
	EndedAt   *time.Time         `json:"finishedAt,omitempty" yaml:"finishedAt,omitempty"`
	Next      *time.Time         `json:"nextAttemptAt,omitempty" yaml:"nextAttemptAt,omitempty"`
	Reason    string             `json:"reason,omitempty" yaml:"reason,omitempty"`
	Child     *v1alpha1.ChildRef `json:"childRef,omitempty" yaml:"childRef,omitempty"`
}

// Choice is which instances are wanted; what is empty admits all.
type Choice struct {
	Phases     map[string]bool
	Operations map[string]bool
}

// Instances yields those of a ledger that are wanted, in order. It builds one at a time: a ledger may hold 100,000.
func Instances(w *v1alpha1.BatchWorkflow, l *saga.Ledger, want Choice) iter.Seq[Instance] {
	specs := map[string]*v1alpha1.Operation{}
	for i := range w.Spec.Operations {
		specs[w.Spec.Operations[i].Name] = &w.Spec.Operations[i]
	}
	moment := func(at int32) *time.Time {
		if at == saga.None {
			return nil
		}
		t := time.Unix(l.Unix(at), 0).UTC()
		return &t
	}
	return func(yield func(Instance) bool) {
		for i := range l.N() {
			op, phase := &l.Ops[l.OpOf(i)], l.Phases[i].String()
			spec := specs[op.Name]
			if spec != nil && asks(spec, l, i) {
				phase = PhaseAwaiting
			}
			if len(want.Phases) > 0 && !want.Phases[phase] || len(want.Operations) > 0 && !want.Operations[op.Name] {
				continue
			}
			one := Instance{Operation: op.Name, Key: l.Key(i), Phase: phase, Attempt: int(l.Attempts[i]), Reason: l.Reason(i),
				StartedAt: moment(l.Starts[i]), EndedAt: moment(l.Ends[i]), Next: moment(l.Retries[i])}
			if spec != nil && l.Attempts[i] > 0 {
				one.Child = childOf(w.Name, spec, one.Key)
			}
			if !yield(one) {
				return
			}
		}
	}
}

// PhaseAwaiting is the phase of an instance that waits for an approval, as the workflow's status has it.
const PhaseAwaiting = string(v1alpha1.WorkflowAwaitingApproval)

// childOf is the object that an instance makes or acts on; nil where there is none.
func childOf(workflow string, op *v1alpha1.Operation, key string) *v1alpha1.ChildRef {
	ref := v1alpha1.ChildRef{Name: v1alpha1.ChildName(workflow, op.Name, key)}
	switch {
	case op.ServerBatch != nil:
		ref.Kind = "Server"
	case op.TaskServiceBatch != nil:
		ref.Kind = "TaskService"
	case op.Command != nil, op.Check != nil && op.Check.Condition == "":
		ref.Kind = "Run"
	case op.Power != nil: // one that another operation made
		ref.Kind, ref.Name = "Server", v1alpha1.ChildName(workflow, op.Power.Target.Operation, cmp.Or(op.Power.Target.Key, key))
	default:
		return nil
	}
	return &ref
}

// WriteInstances writes a table of instances. It keeps none of them: widths follow from the ledger's names alone.
func WriteInstances(out io.Writer, l *saga.Ledger, all iter.Seq[Instance], now time.Time, wide, heads bool) (n int, err error) {
	operations, keys := len("OPERATION"), len("KEY")
	for k := range l.Ops {
		operations = max(operations, len(l.Ops[k].Name))
		for _, key := range l.Ops[k].Keys {
			keys = max(keys, len(key))
		}
		keys = max(keys, len(fmt.Sprint(l.Ops[k].Count)))
	}
	w := bufio.NewWriter(out)
	row := func(operation, key, phase, attempt, started, spent, reason, child string) {
		if !wide {
			child = ""
		}
		line := Line{Plain.Of(fmt.Sprintf("%-*s   %-*s   %-16s   %-7s   %-20s   %-8s   %-20s   %s", operations, operation, keys, key, phase, attempt, started, spent, reason, child))}
		_, err = fmt.Fprintln(w, line.Draw(0, false))
	}
	if heads {
		row("OPERATION", "KEY", "PHASE", "ATTEMPT", "STARTED", "TIME", "REASON", "CHILD")
	}
	for one := range all {
		n++
		started, spent, child := "", "", ""
		if one.StartedAt != nil {
			end := now
			if one.EndedAt != nil {
				end = *one.EndedAt
			}
			started, spent = one.StartedAt.Format("2006-01-02T15:04:05Z"), Spell(end.Sub(*one.StartedAt))
		}
		if one.Child != nil {
			child = one.Child.Kind + "/" + one.Child.Name
		}
		if row(one.Operation, one.Key, one.Phase, fmt.Sprint(one.Attempt), started, spent, one.Reason, child); err != nil {
			return n, err
		}
	}
	return n, w.Flush()
}
