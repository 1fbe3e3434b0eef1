package main

import (
	"fmt"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// load is one thing to measure.
type load struct {
	name, about string
	// instances of operations in all its workflows together.
	instances int
	// memoryMiB that the whole, API server included, needs at most.
	memoryMiB int
	// prepared is called before anything is measured.
	prepared func(r *rig, namespace string) error
	// workflows that are applied at once.
	workflows func(namespace string) []*v1alpha1.BatchWorkflow
	// ends is the phase that counts as the end.
	ends v1alpha1.WorkflowPhase
	// floor are the writes that the work cannot do without.
	floor floor
	// arguments of the operator besides those that all loads have.
	arguments []string
	// around is what happens meanwhile; nil: nothing.
	around func(m *measurement)
}

var (
	inlineSizes = []int{100, 1000, 5000}
	shapes      = []struct {
		name  string
		build func(int) graph
	}{{"layers", layers}, {"chain", chain}, {"fan", fan}, {"diamonds", diamonds}, {"random", random}}
)

// loads are those whose name is wanted, in the order in which they are measured.
func loads(wanted func(string) bool) []load {
	var all []load
	for _, shape := range shapes {
		for _, n := range inlineSizes {
			for _, d := range []time.Duration{0, time.Millisecond} {
				all = append(all, inline(shape.name, shape.build(n), d))
			}
		}
	}
	for _, n := range []int{1000, 10_000, 100_000} {
		for _, match := range []v1alpha1.EdgeMatch{v1alpha1.MatchAll, v1alpha1.MatchSameIndex} {
			for _, d := range []time.Duration{0, time.Millisecond} {
				all = append(all, expanded(n, match, d))
			}
		}
	}
	all = append(all, children(1000), checks(1000), failing(1000), undone(300), restarted(1000), replaced("takeover-killed", syscall.SIGKILL), replaced("takeover-ended", syscall.SIGTERM), many(1000), beside(), idle(), resting(10_000))
	var out []load
	for _, l := range all {
		if wanted(l.name) {
			out = append(out, l)
		}
	}
	return out
}

// inline writes every node out as an operation that waits.
func inline(shape string, g graph, wait time.Duration) load {
	waves := 1
	if wait > 0 {
		waves = g.depth()
	}
	return load{
		name: fmt.Sprintf("%s-%d-%s", shape, len(g), wait), about: fmt.Sprintf("%d written-out operations of type Wait %s, %d deep", len(g), wait, g.depth()),
		instances: len(g), memoryMiB: 2048, ends: v1alpha1.WorkflowSucceeded,
		workflows: func(string) []*v1alpha1.BatchWorkflow { return one(waits(g, wait)) },
		floor:     floor{workflows: 1, waves: waves},
	}
}

func waits(g graph, wait time.Duration) []v1alpha1.Operation {
	return written(g, func(*v1alpha1.Operation, int) {}, wait)
}

// written turns a graph into operations that wait, and lets shape change each.
func written(g graph, shape func(*v1alpha1.Operation, int), wait time.Duration) []v1alpha1.Operation {
	ops := make([]v1alpha1.Operation, len(g))
	for i, before := range g {
		ops[i] = v1alpha1.Operation{Name: nodeName(i), Type: v1alpha1.OperationWait, Wait: &v1alpha1.Wait{Duration: metav1.Duration{Duration: wait}}}
		for _, b := range before {
			ops[i].DependsOn = append(ops[i].DependsOn, v1alpha1.Dependency{Operation: nodeName(b)})
		}
		shape(&ops[i], i)
	}
	return ops
}

// expanded are ten operations of many instances each.
func expanded(n int, match v1alpha1.EdgeMatch, wait time.Duration) load {
	waves := 1
	if wait > 0 {
		waves = 10
	}
	return load{
		name:      fmt.Sprintf("expanded-%d-%s-%s", n, match, wait),
		about:     fmt.Sprintf("10 operations of type Wait %s with count: %d, one after the other by edges of match %s", wait, n/10, match),
		instances: n, memoryMiB: 2048, ends: v1alpha1.WorkflowSucceeded,
		workflows: func(string) []*v1alpha1.BatchWorkflow {
			ops := waits(chain(10), wait)
			for i := range ops {
				ops[i].Wait.Count = int32(n / 10)
				for d := range ops[i].DependsOn {
					ops[i].DependsOn[d].Match = match
				}
			}
			return one(ops)
		},
		floor: floor{workflows: 1, waves: waves},
	}
}

// children makes a Server of every node.
func children(n int) load {
	g := layers(n)
	return load{
		name: fmt.Sprintf("servers-%d", n), about: fmt.Sprintf("%d Servers of the simulated cloud in 10 layers, written out", n),
		instances: n, memoryMiB: 4096, ends: v1alpha1.WorkflowSucceeded, prepared: (*rig).cloud,
		workflows: func(string) []*v1alpha1.BatchWorkflow { return one(servers(g)) },
		floor:     floor{workflows: 1, waves: 10, children: n, writes: 3},
	}
}

func servers(g graph) []v1alpha1.Operation {
	return written(g, func(op *v1alpha1.Operation, _ int) { asServer(op) }, 0)
}

func asServer(op *v1alpha1.Operation) {
	op.Type, op.Wait = v1alpha1.OperationServerBatch, nil
	count := int32(1)
	op.ServerBatch = &v1alpha1.ServerBatch{Count: &count}
	op.ServerBatch.Template.Spec.ProviderRef.Name = providerName
}

// checks makes a Run of every node: a GET from the operator to a server on loopback.
func checks(n int) load {
	g := layers(n)
	return load{
		name: fmt.Sprintf("checks-%d", n), about: fmt.Sprintf("%d checks by HTTP of a loopback server in 10 layers, written out", n),
		instances: n, memoryMiB: 4096, ends: v1alpha1.WorkflowSucceeded, prepared: (*rig).page,
		workflows: func(string) []*v1alpha1.BatchWorkflow {
			return one(written(g, func(op *v1alpha1.Operation, _ int) {
				op.Type, op.Wait = v1alpha1.OperationCheck, nil
				op.Check = &v1alpha1.Check{HTTP: &v1alpha1.HTTPProbe{URL: pageURL}}
			}, 0))
		},
		floor: floor{workflows: 1, waves: 10, children: n, writes: 3},
	}
}

// one is a workflow that nothing holds back but its graph.
func one(ops []v1alpha1.Operation) []*v1alpha1.BatchWorkflow {
	w := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Name: "load"}}
	w.Spec.Operations, w.Spec.ParallelLimit = ops, 10_000
	return []*v1alpha1.BatchWorkflow{w}
}
