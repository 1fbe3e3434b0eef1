package plan

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/saga"
)

// hashes sets what an operation's instances are known by: a digest of its type and payload as written, without what only some instances
// have, and one of that for each instance; nil where no instance differs. Neither edges nor retries, time-outs, policies and conditions
// are part of them, nor is how a command is undone.
func (op *operation) hashes() {
	payload := v1alpha1.Operation{Type: op.Type}
	switch op.Type {
	case v1alpha1.OperationServerBatch:
		batch := op.ServerBatch.DeepCopy()
		for _, item := range batch.ForEach {
			own := saga.Digest{}
			if item.Key = ""; item != (v1alpha1.ServerItem{}) {
				own = digest(item)
			}
			op.own = append(op.own, own)
		}
		batch.Count, batch.ForEach, batch.ForEachFrom = nil, nil, ""
		payload.ServerBatch = batch
	case v1alpha1.OperationTaskServiceBatch:
		batch := *op.TaskServiceBatch
		for _, recipe := range batch.Recipes {
			op.own = append(op.own, digest(recipe))
		}
		batch.Recipes = nil
		payload.TaskServiceBatch = &batch
	case v1alpha1.OperationCheck:
		payload.Check = op.Check
	case v1alpha1.OperationCommand:
		command := *op.Command
		command.Undo = ""
		payload.Command = &command
	case v1alpha1.OperationPower:
		payload.Power = op.Power
	case v1alpha1.OperationApproval:
		payload.Approval = op.Approval
	case v1alpha1.OperationWait:
		payload.Wait = &v1alpha1.Wait{Duration: op.Wait.Duration}
	}
	op.written = digest(payload)
}

// digest hashes a plain struct as JSON.
func digest(v any) saga.Digest {
	text, _ := json.Marshal(v) // plain structs cannot fail
	sum := sha256.Sum256(text)
	return saga.Digest(sum[:len(saga.Digest{})])
}

// writtenAs returns the written hash of an operation's n-th instance.
func (op *operation) writtenAs(n int) saga.Digest {
	if op.own == nil || op.own[op.choice(n)] == (saga.Digest{}) { // it has nothing of its own
		return op.written
	}
	return digest([]saga.Digest{op.written, op.own[op.choice(n)]})
}

// formOf returns how the n-th instance of an operation is wanted. It is false while a value that it needs is not known.
func (w *Workflow) formOf(op *operation, n int, lookup expr.Lookup) (form saga.Form, known bool) {
	form.Written = op.writtenAs(n)
	var values []string
	for _, ref := range op.refs(n) {
		value, ok := lookup(ref)
		if !ok {
			return form, false
		}
		values = append(values, value)
	}
	if op.child == KindTaskService && !op.each() {
		values = append(append(values, "on"), op.targets...)
	}
	if form.Resolved = form.Written; values != nil {
		form.Resolved = digest([]any{form.Written[:], values})
	}
	return form, w.sure(op, lookup)
}

// needs are the outputs that the n-th instance refers to, and that which lists it.
func (op *operation) needs(n int) []expr.Ref {
	if op.source == nil {
		return op.refs(n)
	}
	return append(slices.Clip(op.refs(n)), *op.source)
}

// refs are the outputs that the n-th instance refers to.
func (op *operation) refs(n int) []expr.Ref {
	if op.child == KindTaskService {
		return op.text.parameters[op.TaskServiceBatch.Recipes[op.choice(n)].Name].Refs()
	}
	refs := make([]expr.Ref, 0, len(op.text.uses))
	for _, use := range op.text.uses {
		refs = append(refs, use.Ref)
	}
	return refs
}
