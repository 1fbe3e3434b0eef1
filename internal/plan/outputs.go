package plan

import (
	"fmt"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/saga"
)

// Outputs of a ServerBatch: one value an instance, in order of instances, joined by commas.
const (
	outputNames     = "names"
	outputAddresses = "addresses"
)

// offers reports whether an operation can have an output of that name. What recipes and scripts put out is known only later.
func offers(op *operation, output string) bool {
	switch op.child {
	case KindServer:
		return output == outputNames || output == outputAddresses
	case KindTaskService, KindRun:
		return true
	}
	return op.Approval != nil && (output == outputApprovedBy || output == outputApprovedAt)
}

func outputsOf(op *operation) string {
	if op.child == KindServer {
		return fmt.Sprintf("a ServerBatch has the outputs %s and %s", outputNames, outputAddresses)
	}
	if op.Approval != nil {
		return fmt.Sprintf("an Approval has the outputs %s and %s", outputApprovedBy, outputApprovedAt)
	}
	return fmt.Sprintf("a %s has no outputs", op.Type)
}

// collect gathers the outputs that others refer to, when all instances have succeeded: the values of one key, in order of
// instances, joined by commas. What no child has is left out, and whoever refers to it fails by name; so is what only some
// Servers have, because a list of addresses with gaps would name the wrong machines.
func (w *Workflow) collect(k int, sights Sights) map[string]string {
	op, out := &w.ops[k], map[string]string{}
	for key := range op.given {
		var values []string
		for i := op.first; i < op.first+op.count; i++ {
			if op.child == KindServer && key == outputNames {
				values = append(values, w.names[i])
			} else if value, ok := sights[i].Outputs[key]; ok {
				values = append(values, value)
			}
		}
		if values != nil && (op.child != KindServer || len(values) == op.count) {
			out[key] = strings.Join(values, ",")
		}
	}
	return out
}

// lookup finds frozen outputs in the ledger.
func (w *Workflow) lookup(l *saga.Ledger) expr.Lookup {
	return func(ref expr.Ref) (string, bool) {
		k, ok := w.index[ref.Operation]
		if !ok {
			return "", false
		}
		value, ok := l.Ops[k].Outputs[ref.Output]
		return value, ok
	}
}

// missing returns the first output that the operation refers to and that nobody gave.
func (w *Workflow) missing(l *saga.Ledger, k int) (expr.Ref, bool) {
	lookup := w.lookup(l)
	for _, use := range w.ops[k].text.uses {
		if _, ok := lookup(use.Ref); !ok {
			return use.Ref, true
		}
	}
	return expr.Ref{}, false
}

// serverOutputs are what one Server gives; its name is known without it.
func serverOutputs(s *v1alpha1.Server) map[string]string {
	if s.Status.Access == nil || s.Status.Access.Address == "" {
		return nil
	}
	return map[string]string{outputAddresses: s.Status.Access.Address}
}
