package e2e

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/mem"
)

// troubles are the faults of a cloud that pass, by the call that meets them.
var troubles = map[mem.Verb][]mem.Order{
	mem.Create: {
		{What: mem.ReplyLost}, {What: mem.RateLimited, For: 200 * time.Millisecond}, {What: mem.ResourcesDepleted}, {What: mem.Transient},
		{What: mem.Panic}, {What: mem.Hidden, For: 3 * time.Second}, {What: mem.Denied, For: time.Second},
	},
	mem.Delete: {{What: mem.ReplyLost}, {What: mem.RateLimited, For: 200 * time.Millisecond}, {What: mem.Transient}, {What: mem.Panic}},
	mem.Get:    {{What: mem.Transient}, {What: mem.RateLimited, For: 200 * time.Millisecond}, {What: mem.Panic}},
	mem.List:   {{What: mem.Transient}, {What: mem.RateLimited, For: 200 * time.Millisecond}, {What: mem.Panic}},
}

// A cloud that misbehaves and an operator that is killed: the same end.
func TestWorkflowSurvivesFaultsOfTheCloudAndKills(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t, slow), dice(t)
	b.start()
	b.provider(maxInFlight)
	yaml, servers, _ := fleet("faults", "Fail", "large", pick(0.3, 1.0))
	stop := b.meddle(rand.New(rand.NewPCG(rng.Uint64(), 1)))
	b.apply(yaml)

	run := b.forward("faults")
	run.times = pick(3, 10)
	b.killAlong(rng, "forward", run)
	w := b.reaches("faults", v1alpha1.WorkflowSucceeded)
	b.complete(w, servers)

	b.kubectl("", "delete", "bwf", "faults", "--wait=false")
	end := b.emptying("faults", servers)
	end.times = pick(2, 10)
	b.killAlong(rng, "deletion", end)
	stop()
	b.vanishes("provider.keelway.dev/cloud")
	b.once(servers)
}

// meddle has one call in five meet a fault, until it is stopped.
func (b *bench) meddle(rng *rand.Rand) (stop func()) {
	var mu sync.Mutex
	ordered := map[mem.What]int{}
	meddle := func(verb mem.Verb) {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(5) > 0 {
			return
		}
		order := troubles[verb][rng.IntN(len(troubles[verb]))]
		order.Verb = verb
		ordered[order.What]++
		b.cloud.Inject(order)
	}
	b.torment.Store(&meddle)
	return func() {
		b.torment.Store(nil)
		mu.Lock()
		defer mu.Unlock()
		b.t.Logf("faults: %v", ordered)
	}
}
