package e2e

import (
	"strings"
	"testing"

	kwatch "k8s.io/apimachinery/pkg/watch"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/saga"
)

// The last operation asks for a size that the cloud refuses: everything is taken back, with kills on both ways.
func TestUndoSurvivesKillsOfTheOperator(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t, slow), dice(t)
	b.start()
	b.provider(maxInFlight)
	yaml, servers, refused := fleet("undo", "Rollback", "colossal", pick(0.3, 1.0))
	made := servers - refused
	b.apply(yaml)

	run := b.forward("undo")
	run.times = pick(3, 10)
	b.killAlong(rng, "forward", run)
	back := b.backward("undo", made)
	back.times = pick(3, 10)
	b.killAlong(rng, "undo", back)

	w := b.reaches("undo", v1alpha1.WorkflowRolledBack)
	l := b.ledger("undo")
	b.agrees(w, l)
	for i := range l.N() {
		if l.Phases[i] != saga.Undone && l.Phases[i] != saga.Omitted {
			t.Errorf("%s/%s is %s", l.Ops[l.OpOf(i)].Name, l.Key(i), l.Phases[i])
		}
	}
	if r := b.cloud.Report(); r.Live+r.Ending > 0 || r.Made != made {
		t.Errorf("the cloud made %d machines of %d; %d live, %d are ending", r.Made, made, r.Live, r.Ending)
	}
	b.once(made)
	if left := b.servers(); len(left) > 0 {
		t.Errorf("%d Servers are left", len(left))
	}
	b.ordered(t, "undo", parallelLimit)
	b.reversed("undo")
	if ready := reconcile.Condition(w, v1alpha1.ReadyCondition); !strings.Contains(ready.Message, `there is no size "colossal"; there are: small, medium, large`) {
		t.Errorf("the root cause is not told: %s", ready.Message)
	}
	b.kubectl("", "delete", "bwf", "undo")
	b.vanishes("provider.keelway.dev/cloud")
}

// backward is how far a run is taken back: the share of the machines that have ended, once it turned.
func (b *bench) backward(workflow string, made int) killed {
	return killed{
		progress: func() float64 {
			if l := b.latest(workflow); l == nil || l.Phase == saga.RunRunning {
				return -1
			}
			return 1 - float64(b.cloud.Report().Live)/float64(made)
		},
		done: func() bool { l := b.latest(workflow); return l != nil && l.Phase.Terminal() },
	}
}

// reversed holds that what was made went in the reverse of the order that ran: a Server is asked to go only after every Server
// of the operations that rest on its own has gone.
func (b *bench) reversed(workflow string) {
	b.t.Helper()
	l := b.latest(workflow)
	above := rests(l)
	alive := map[string]map[string]bool{} // operation → Servers that have not gone
	asked := map[string]bool{}
	for _, s := range b.sightings() {
		op, name := s.object.GetLabels()[v1alpha1.LabelOperation], s.object.GetName()
		if s.kind != "Server" || s.object.GetLabels()[v1alpha1.LabelWorkflow] != workflow {
			continue
		}
		if alive[op] == nil {
			alive[op] = map[string]bool{}
		}
		alive[op][name] = true
		if s.verb == kwatch.Deleted {
			delete(alive[op], name)
		}
		if s.object.GetDeletionTimestamp() == nil || asked[name] {
			continue
		}
		asked[name] = true
		for _, later := range above[op] {
			if len(alive[later]) > 0 {
				b.t.Errorf("server %s was asked to go while %d Servers of %s stood on it", name, len(alive[later]), later)
			}
		}
	}
	if len(asked) == 0 {
		b.t.Error("no Server was seen to go")
	}
}

// rests returns, for each operation, those that rest on it, at first or at second hand.
func rests(l *saga.Ledger) map[string][]string {
	above := map[string][]string{}
	for k := range l.Ops {
		var mark func(int)
		seen := map[int]bool{}
		mark = func(at int) {
			for _, p := range l.Ops[at].Preds {
				if below := int(p.Op); !seen[below] {
					seen[below] = true
					above[l.Ops[below].Name] = append(above[l.Ops[below].Name], l.Ops[k].Name)
					mark(below)
				}
			}
		}
		mark(k)
	}
	return above
}
