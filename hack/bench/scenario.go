package main

import (
	"fmt"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// failing adds a check that fails after every tenth node, each tried twice; nothing depends on these.
func failing(n int) load {
	g := layers(n)
	return load{
		name: fmt.Sprintf("failing-%d", n), about: fmt.Sprintf("as layers-%d-0s, and %d more that fail, each tried twice", n, n/10),
		instances: n + n/10, memoryMiB: 2048, ends: v1alpha1.WorkflowFailed,
		workflows: func(string) []*v1alpha1.BatchWorkflow {
			ops := waits(g, 0)
			for i := range n / 10 {
				bad := v1alpha1.Operation{Name: fmt.Sprintf("bad%d", i), Type: v1alpha1.OperationCheck, Check: &v1alpha1.Check{Condition: "false"}}
				bad.DependsOn = []v1alpha1.Dependency{{Operation: nodeName(10 * i)}}
				zero := metav1.Duration{}
				bad.Retry = &v1alpha1.RetryPolicy{Limit: 1, Backoff: v1alpha1.Backoff{Duration: &zero}}
				ops = append(ops, bad)
			}
			w := one(ops)
			w[0].Spec.OnFailure = v1alpha1.FailureContinue
			return w
		},
		floor: floor{workflows: 1, waves: 2},
	}
}

// undone makes Servers in ten layers and fails at 90 %: everything goes back.
func undone(n int) load {
	g := layers(n)
	return load{
		name: fmt.Sprintf("undone-%d", n), about: fmt.Sprintf("%d Servers in 9 of 10 layers, then a failure, and all of them undone", n*9/10),
		instances: n, memoryMiB: 4096, ends: v1alpha1.WorkflowRolledBack, prepared: (*rig).cloud,
		workflows: func(string) []*v1alpha1.BatchWorkflow {
			w := one(written(g, func(op *v1alpha1.Operation, i int) {
				if i < n*9/10 {
					asServer(op)
					return
				}
				op.Type, op.Wait, op.Check = v1alpha1.OperationCheck, nil, &v1alpha1.Check{Condition: "false"}
			}, 0))
			w[0].Spec.OnFailure = v1alpha1.FailureRollback
			return w
		},
		floor: floor{workflows: 1, waves: 20, children: n * 9 / 10, writes: 3, undone: true},
	}
}

// restarted kills the operator when half of the Servers are ready and starts it again at once.
func restarted(n int) load {
	l := children(n)
	l.name, l.about = fmt.Sprintf("restarted-%d", n), fmt.Sprintf("as servers-%d; the operator is killed by SIGKILL at half of it and started at once", n)
	l.around = func(m *measurement) {
		m.when(n/2, func() {
			began := time.Now()
			m.rig.operator.kill()
			m.fresh()
			if m.restart() {
				m.nextMade(func(at time.Time) { m.extra("kill to first new operation", at.Sub(began).Seconds(), "s") })
			}
		})
	}
	return l
}

// replaced has a second operator that waits for the lease, and ends the first one at half of the work.
func replaced(name string, how syscall.Signal) load {
	const n = 200
	elected := []string{"--leader-elect", "--leader-elect-namespace=default"}
	l := children(n)
	l.name, l.arguments = name, elected
	l.about = fmt.Sprintf("%d Servers by two operators that share a lease; the one that leads gets signal %d (%s) at half of it", n, how, how)
	l.around = func(m *measurement) {
		leader := m.rig.operator
		spare, err := m.rig.startOperator(elected...)
		if err != nil {
			m.fail(err)
			return
		}
		m.when(n/2, func() {
			began := time.Now()
			m.rig.operator = spare
			leader.end(how)
			m.fresh()
			m.nextMade(func(at time.Time) {
				m.extra("signal to first new operation by the second operator", at.Sub(began).Seconds(), "s")
			})
		})
		m.atEnd(leader.kill) // in case that it never came to that
	}
	return l
}

// restart starts the operator anew.
func (m *measurement) restart() (ok bool) {
	o, err := m.rig.startOperator()
	if err != nil {
		m.fail(err)
		return false
	}
	m.rig.operator = o
	return true
}

// fresh lets what an operator did that has just ended be seen, so that it is not taken for a deed of the next one.
func (m *measurement) fresh() { time.Sleep(50 * time.Millisecond) }

// many are workflows of ten operations each, applied at once.
func many(n int) load {
	return load{
		name: fmt.Sprintf("many-%d", n), about: fmt.Sprintf("%d workflows of 10 operations of type Wait 0s", n),
		instances: 10 * n, memoryMiB: 4096, ends: v1alpha1.WorkflowSucceeded,
		workflows: func(string) (all []*v1alpha1.BatchWorkflow) {
			for i := range n {
				w := one(waits(layers(10), 0))[0]
				w.Name = fmt.Sprintf("small%d", i)
				all = append(all, w)
			}
			return all
		},
		floor: floor{workflows: n, waves: 1},
	}
}

// beside is one big workflow and fifty small ones that come while it runs. How long these take alone is measured right before.
func beside() load {
	const small, big = 50, 10_000
	smalls := func() (all []*v1alpha1.BatchWorkflow) {
		for i := range small {
			w := one(waits(chain(10), time.Millisecond))[0]
			w.Name = fmt.Sprintf("small%d", i)
			all = append(all, w)
		}
		return all
	}
	l := expanded(big, v1alpha1.MatchAll, time.Millisecond)
	l.name, l.about = fmt.Sprintf("beside-%d", big), fmt.Sprintf("%d workflows of 10, applied while one of %d runs", small, big)
	l.instances += small * 10
	l.workflows = func(string) []*v1alpha1.BatchWorkflow {
		ops := waits(chain(10), time.Millisecond)
		for i := range ops {
			ops[i].Wait.Count = big / 10
		}
		w := one(ops)
		w[0].Name = "big"
		return append(w, smalls()...)
	}
	l.around = func(m *measurement) {
		alone := m.alone(smalls())
		m.atEnd(func() {
			if median := m.medianOf("small"); alone > 0 {
				m.extra("median of small ones alone", alone.Seconds(), "s")
				m.extra("median of small ones beside", median.Seconds(), "s")
				m.extra("small ones beside / alone", median.Seconds()/alone.Seconds(), "×")
			}
		})
	}
	l.floor = floor{workflows: 51, waves: 10}
	return l
}
