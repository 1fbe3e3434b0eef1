package e2e

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/keelway/keelway/internal/saga"
)

// killed says how often the operator is killed while something runs, and how to see how far that is.
type killed struct {
	times    int
	progress func() float64 // from 0 to 1; it need not be exact, the kills only have to be spread
	done     func() bool    // there is nothing left to interrupt
}

// killAlong kills the operator at random moments, spread over the run, and starts it again at once or a little later. No moment is
// in the last fifth: what ends in a refusal turns before it is at its whole.
func (b *bench) killAlong(rng *rand.Rand, what string, k killed) {
	b.t.Helper()
	begun, killed := time.Now(), 0
	for n := range k.times {
		point := 0.8 * (float64(n) + rng.Float64()) / float64(k.times)
		b.eventually(fmt.Sprintf("%s: point %.2f for kill %d", what, point, n+1), patience, func() error {
			if p := k.progress(); p < point && !k.done() {
				return fmt.Errorf("it is at %.2f", p)
			}
			return nil
		})
		if k.done() {
			break
		}
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		doing, pid, age := b.activity(), b.present.pid(), time.Since(b.present.began)
		b.present.kill()
		killed++
		b.t.Logf("%s: kill %d of pid %d, %.2f s old, at %.2f s and %.0f %%: %s", what, killed, pid, age.Seconds(), time.Since(begun).Seconds(), 100*k.progress(), doing)
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		b.start()
	}
	if killed < k.times {
		b.t.Errorf("%s: it was over after %d of %d kills", what, killed, k.times)
	}
}

// activity describes what the operator is doing.
func (b *bench) activity() string {
	r := b.cloud.Report()
	call := "no call yet"
	if n := len(r.Calls); n > 0 {
		call = fmt.Sprintf("%s %s %s", r.Calls[n-1].Verb, r.Calls[n-1].Owner.Name, r.Calls[n-1].Fault)
	}
	return fmt.Sprintf("last write %s; last call to the cloud %s; %d machines", b.doing(), call, r.Live)
}

// forward is how far a run has come: half of it is what was ordered, half what has ended.
func (b *bench) forward(workflow string) killed {
	return killed{
		progress: func() float64 {
			l := b.latest(workflow)
			if l == nil || l.N() == 0 {
				return 0
			}
			ordered := 0
			for i := range l.N() {
				if l.Ordered(i) {
					ordered++
				}
			}
			counts := l.Counts()
			return float64(ordered+int(counts.Settled())) / float64(2*l.N())
		},
		done: func() bool {
			l := b.latest(workflow)
			return l != nil && l.Phase != saga.RunRunning
		},
	}
}

// emptying is how far a workflow's deletion has come: the share of its machines that have ended. It is over when the ledger is gone.
func (b *bench) emptying(workflow string, full int) killed {
	return killed{
		progress: func() float64 { return 1 - float64(b.cloud.Report().Live)/float64(full) },
		done:     func() bool { return b.latest(workflow) == nil },
	}
}
