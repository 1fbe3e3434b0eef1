package e2e

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
)

// outstanding is how many calls a leader may have under way when it loses its lease: one a worker.
const outstanding = 8

// Two operators share a lease. In the short form the leader is asked to end and hands over. In the long form it is frozen past
// its lease before that, and wakes up when the other has taken over: what it still wants to do must have no effect.
func TestAnotherOperatorTakesOver(t *testing.T) {
	t.Parallel()
	b := newBench(t, slow, "--leader-elect", "--leader-elect-namespace=keelway-system")
	pair := b.pair()
	b.provider(maxInFlight)
	yaml, servers, _ := fleet("lead", "Fail", "large", pick(0.2, 1.0))
	b.apply(yaml)
	if long() {
		b.past("lead", 0.2)
		pair.freeze(b)
		b.past("lead", 0.3)
		pair.thaw(b)
	}
	b.past("lead", 0.4)
	took, led := pair.handOver(b)
	t.Logf("the leader ended within %.1f s of SIGTERM and the other one led after %.1f s", took.Seconds(), led.Seconds())
	w := b.reaches("lead", v1alpha1.WorkflowSucceeded)
	b.complete(w, servers)
	if most, may := b.cloud.Report().MostMaking, maxInFlight+outstanding; most > may {
		t.Errorf("%d machines were in the making at once, %d may be", most, may)
	}
	b.kubectl("", "delete", "bwf", "lead", "--wait=false")
	b.vanishes("provider.keelway.dev/cloud")
	b.once(servers)
}

// pair is two operators of which one leads. The bench's present one is the leader, or whoever is about to be.
type pair struct{ leader, spare *operator }

// theLease is one for all tests: two of them at once would fight over it.
var theLease sync.Mutex

// pair starts the second one when the first one leads, so that it is known which is which.
func (b *bench) pair() *pair {
	b.t.Helper()
	theLease.Lock()
	b.t.Cleanup(theLease.Unlock)
	p := &pair{leader: b.start()}
	b.t.Cleanup(func() {
		for _, o := range []*operator{p.leader, p.spare} {
			if o != nil && !o.ended() {
				o.stop(b.t)
			}
		}
	})
	b.led("")
	p.spare = b.start()
	b.present = p.leader
	return p
}

// led waits until the lease is held by somebody else than before, and returns by whom.
func (b *bench) led(before string) (holder string) {
	b.t.Helper()
	b.eventually("somebody else leads", patience, func() error {
		if holder = b.holder(); holder == "" || holder == before {
			return fmt.Errorf("the lease is held by %q", holder)
		}
		return nil
	})
	return holder
}

// holder is whom the lease names; nobody when there is none.
func (b *bench) holder() string {
	b.t.Helper()
	lease := &coordinationv1.Lease{}
	name := types.NamespacedName{Namespace: "keelway-system", Name: "keelway.dev"}
	if err := b.Client.Get(b.t.Context(), name, lease); err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// handOver asks the leader to end. The lease is released then, so that nobody waits for its end.
func (p *pair) handOver(b *bench) (took, led time.Duration) {
	b.t.Helper()
	before, begun := b.holder(), time.Now()
	b.present = p.spare
	took = p.leader.stop(b.t)
	b.led(before)
	led = time.Since(begun)
	if led > 10*time.Second { // a lease that was not released would be waited for until it ends
		b.t.Errorf("the other operator led only after %s: the lease was not released", led)
	}
	p.leader, p.spare = p.spare, nil
	return took, led
}

// freeze stops the leader for longer than its lease, until the other one leads.
func (p *pair) freeze(b *bench) {
	b.t.Helper()
	before, begun := b.holder(), time.Now()
	p.leader.signal(syscall.SIGSTOP)
	b.t.Logf("pid %d is frozen: %s", p.leader.pid(), b.activity())
	b.present = p.spare
	b.led(before)
	b.t.Logf("pid %d leads %.1f s later", p.spare.pid(), time.Since(begun).Seconds())
}

// thaw lets the former leader go on where it stood. It has to see that its lease is over.
func (p *pair) thaw(b *bench) {
	b.t.Helper()
	p.leader.signal(syscall.SIGCONT)
	select {
	case <-p.leader.done:
		b.t.Logf("pid %d saw that its lease was over, and ended: %v", p.leader.pid(), p.leader.err)
	case <-time.After(30 * time.Second):
		b.t.Errorf("pid %d goes on although its lease is over", p.leader.pid())
		p.leader.kill()
	}
	p.leader, p.spare = p.spare, b.start() // as its Deployment does
	b.present = p.leader
}

// The leader is frozen in the midst of undoing, past its lease, and let go when the other one has undone all: what it still wants to do has no
// effect, and nothing is left.
func TestFrozenOperatorUndoesNothingTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, slow, "--leader-elect", "--leader-elect-namespace=keelway-system")
	pair := b.pair()
	b.provider(maxInFlight)
	yaml, servers, refused := fleet("thaw", "Rollback", "colossal", pick(0.2, 1.0))
	made := servers - refused
	b.apply(yaml)
	back := b.backward("thaw", made)
	b.eventually("it is being undone", patience, func() error {
		if p := back.progress(); p < 0 {
			return fmt.Errorf("it is not yet")
		}
		return nil
	})
	pair.freeze(b)
	b.reaches("thaw", v1alpha1.WorkflowRolledBack)
	pair.thaw(b)
	time.Sleep(pick(time.Second, 10*time.Second)) // whatever it had on its way arrives
	if r := b.cloud.Report(); r.Live+r.Ending > 0 || r.Made != made || len(b.servers()) > 0 {
		t.Errorf("the cloud made %d machines of %d; %d live, %d are ending, for %d Servers", r.Made, made, r.Live, r.Ending, len(b.servers()))
	}
	b.once(made)
	b.reversed("thaw")
	b.kubectl("", "delete", "bwf", "thaw", "--wait=false")
	b.vanishes("provider.keelway.dev/cloud")
}

// past waits until a run has come that far.
func (b *bench) past(workflow string, point float64) {
	b.t.Helper()
	run := b.forward(workflow)
	b.eventually(fmt.Sprintf("workflow %s past %.2f", workflow, point), patience, func() error {
		if p := run.progress(); p < point {
			return fmt.Errorf("it is at %.2f", p)
		}
		return nil
	})
}
