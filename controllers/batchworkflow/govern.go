package batchworkflow

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/plan"
)

// judge asks whether the run may go on by its plan. It makes the plan where that matters, and for that it only reads.
func (l *look) judge(ctx context.Context, w *v1alpha1.BatchWorkflow) (err error) {
	if l.asked, err = l.requests(ctx, w); err != nil {
		return err
	}
	gate, err := l.workflow.Judge(l.memory.ledger, l.memory.plan, l.sights, func() (plan.World, error) { return l.world(ctx, w) }, l.asked, l.kit.Now())
	if err != nil {
		return err
	}
	l.workflow, l.plan = l.workflow.Behind(gate), gate.Record
	return nil
}

// world reads what a plan is made from besides the ledger, from the cache.
func (l *look) world(ctx context.Context, w *v1alpha1.BatchWorkflow) (plan.World, error) {
	around, err := l.children.Around(ctx, w)
	if err != nil {
		return plan.World{}, err
	}
	return plan.WorldOf(l.sights, around.Others(), around.Servers), nil
}

// status is what is written into the Checkpoint. A merge patch keeps what it does not name, so what a plan has no more is named.
func (l *look) status(data []byte) map[string]any {
	status := map[string]any{"data": data}
	if l.plan == l.memory.plan {
		return status
	}
	if l.plan == nil {
		status["plan"] = nil
		return status
	}
	now := fieldsOf(l.plan)
	for name := range fieldsOf(l.memory.plan) {
		if _, ok := now[name]; !ok {
			now[name] = nil
		}
	}
	status["plan"] = now
	return status
}

// fieldsOf are a plan's fields as JSON.
func fieldsOf(p *v1alpha1.CheckpointPlan) map[string]any {
	fields := map[string]any{}
	text, _ := json.Marshal(p) // plain structs cannot fail
	var read map[string]json.RawMessage
	_ = json.Unmarshal(text, &read)
	for name := range maps.Keys(read) {
		fields[name] = read[name]
	}
	return fields
}
