package plan

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// layered is a workflow of n instances: ten layers, each after the one before, of Waits or of Servers.
func layered(n int, servers bool) *v1alpha1.BatchWorkflow {
	flow := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "layers", Generation: 1}}
	flow.Spec.ParallelLimit = 10_000
	const layers, width = 10, 10
	for k := range layers * width {
		op := v1alpha1.Operation{Name: fmt.Sprintf("op-%d-%d", k/width, k%width)}
		count := int32(n / (layers * width))
		if servers {
			op.Type, op.ServerBatch = v1alpha1.OperationServerBatch, &v1alpha1.ServerBatch{Count: &count}
		} else {
			op.Type, op.Wait = v1alpha1.OperationWait, &v1alpha1.Wait{Count: count}
		}
		for before := k/width*width - width; before >= 0 && before < k/width*width; before++ {
			op.DependsOn = append(op.DependsOn, v1alpha1.Dependency{Operation: fmt.Sprintf("op-%d-%d", before/width, before%width)})
		}
		flow.Spec.Operations = append(flow.Spec.Operations, op)
	}
	return flow
}

func compile(tb testing.TB, flow *v1alpha1.BatchWorkflow) (*Workflow, *saga.Ledger) {
	tb.Helper()
	w, err := Compile(flow, nil)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := w.Start(1_800_000_000)
	if err != nil {
		tb.Fatal(err)
	}
	return w, l
}

func eachSize(b *testing.B, do func(b *testing.B, n int)) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			do(b, n)
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		flow := layered(n, true)
		for b.Loop() {
			if _, err := Compile(flow, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAdvanceAll takes Waits of no duration from Pending to the end, in one call.
func BenchmarkAdvanceAll(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, l := compile(b, layered(n, false))
		for b.Loop() {
			next, _, err := Advance(w, l, nil, nil, time.Unix(1_800_000_001, 0))
			if err != nil || next.Phase != saga.RunSucceeded {
				b.Fatal(next.Phase, err)
			}
		}
	})
}

// half is a workflow of Servers that is under way, with up to 10,000 children that are seen.
func half(b *testing.B, n int) (*Workflow, *saga.Ledger, Sights, time.Time) {
	w, l := compile(b, layered(n, true))
	now, sights := time.Unix(1_800_000_001, 0), Sights{}
	for l.Counts()[saga.Succeeded] < int32(n/2) {
		var err error
		if l, _, err = Advance(w, l, sights, nil, now); err != nil {
			b.Fatal(err)
		}
		for _, action := range Act(w, l, sights) {
			sights[action.Instance] = Sight{Exists: true, Ready: true, UID: "u", Asked: 1, Answered: 1}
		}
	}
	for i := range sights {
		if l.Phases[i] == saga.Running {
			sights[i] = Sight{Exists: true, UID: "u", Asked: 1, Answered: 1, Reason: "InProgress", Message: "it is being made"}
		}
	}
	return w, l, sights, now
}

// BenchmarkAdvanceIdle is the most frequent look: nothing has changed.
func BenchmarkAdvanceIdle(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, l, sights, now := half(b, n)
		l, _, _ = Advance(w, l, sights, nil, now)
		for b.Loop() {
			if next, _, err := Advance(w, l, sights, nil, now); err != nil || next != l {
				b.Fatal("it changes", err)
			}
		}
	})
}

// BenchmarkAdvanceOne folds one success in.
func BenchmarkAdvanceOne(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, l, sights, now := half(b, n)
		l, _, _ = Advance(w, l, sights, nil, now)
		for i := range sights {
			if l.Phases[i] == saga.Running {
				sights[i] = Sight{Exists: true, Ready: true, UID: "u", Asked: 1, Answered: 1}
				break
			}
		}
		for b.Loop() {
			if next, _, err := Advance(w, l, sights, nil, now); err != nil || next == l {
				b.Fatal("it changes nothing", err)
			}
		}
	})
}

func BenchmarkAct(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, l := compile(b, layered(n, true))
		l, _, err := Advance(w, l, nil, nil, time.Unix(1_800_000_001, 0))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if actions := Act(w, l, nil); len(actions) != min(n/10, 10_000) {
				b.Fatal(len(actions))
			}
		}
	})
}

func BenchmarkSummarise(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, l, sights, _ := half(b, n)
		for b.Loop() {
			if len(Summarise(w, l, sights).Operations) == 0 {
				b.Fatal("nothing is told")
			}
		}
	})
}
