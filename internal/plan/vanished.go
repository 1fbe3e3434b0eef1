package plan

import (
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Vanished says which children are gone by another hand although their instances have succeeded: such a child is not made again, but
// people hear of it. "" when none is.
func Vanished(w *Workflow, l *saga.Ledger, sights Sights) string {
	gone, first := 0, ""
	for k := range w.ops {
		if w.ops[k].child == "" || l.OpCounts(k)[saga.Succeeded] == 0 || l.Compact && w.ops[k].child == KindRun {
			continue
		}
		for n := range w.ops[k].count {
			if i := l.Instance(k, n); l.Phases[i] == saga.Succeeded && !sights[i].Exists {
				if gone++; first == "" {
					first = w.ops[k].child + " " + w.names[i]
				}
			}
		}
	}
	switch {
	case gone == 0:
		return ""
	case gone == 1:
		return fmt.Sprintf("%s: %s, which was made, is gone by another hand and is not made again", v1alpha1.ReasonChildVanished, first)
	}
	return fmt.Sprintf("%s: %s and %d more, which were made, are gone by another hand and are not made again", v1alpha1.ReasonChildVanished, first, gone-1)
}
