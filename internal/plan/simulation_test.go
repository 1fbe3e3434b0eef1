package plan

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/saga"
)

var (
	oneSeed = flag.Uint64("seed", 0, "simulate this seed alone, and tell every step")
	runs    = flag.Int("runs", 0, "how many seeds to simulate; 0: 20000, with -short 2000")
	from    = flag.Uint64("from", 1, "the first seed")
)

// coverage counts what the simulations met.
type coverage map[string]int

func (c coverage) see(what string) { c[what]++ }

// minimum is in how many of 20,000 runs something must be met: a simulation that misses a branch proves nothing about it.
var minimum = map[string]int{
	"ended Succeeded": 4000, "ended Failed": 2000, "ended RolledBack": 2000, "ended RollbackFailed": 300,
	"crash before observe": 2000, "crash before confirm": 2000, "crash before advance": 2000, "crash before record": 2000,
	"crash before act": 2000, "crash before prove": 300, "crash before deed": 1000, "crash before summarise": 1000,
	"crash before create": 300, "crash before delete": 50, "crash before raise": 10, "crash after record": 300,
	"crash after create": 300, "crash after delete": 30, "crash after raise": 10,
	"refused record": 300, "refused create": 300, "refused delete": 30, "refused raise": 10,
	"lost reply of record": 300, "lost reply of create": 300, "lost reply of delete": 30, "lost reply of raise": 10,
	"stale record refused": 2000, "thawed with an old ledger": 1000, "deeds of a stale operator spared": 300,
	"stale deed: created while Undone": 50, "stale deed reversed": 50,
	"stale cache": 4000, "exists already": 2000, "live read found what the cache did not show": 20, "failed read of checkpoint": 500, "failed read of child": 10,
	"deleted by another hand": 1000, "finalizer torn off": 1000, "name taken": 100, "suspend toggled": 4000, "limit edited": 4000,
	"attempt raised": 500, "child ready": 4000, "child stalled": 2000, "child unknown": 200, "deletion stalled": 300, "recovered by itself": 50,
	"failure TimedOut": 500, "failure DeletionBlocked": 20, "failure Invalid": 50, "phase at the end Irreversible": 200, "phase at the end Omitted": 500,
}

// sabotage breaks a guard on purpose, so that TestSimulationCatches can show that its loss is noticed.
type sabotage struct {
	actFirst   bool // deeds before their record
	noSwap     bool // the Checkpoint is written whatever its version
	oldStalled bool // a stale sight's Stalled counts for the present attempt
	noConfirm  bool // what a cache does not show is believed to be gone
	hasty      bool // deeds follow from a remembered ledger without asking whether it is still the newest
	anyOrder   bool // undo does not follow the graph
	oneMore    bool // the limit is off by one
}

// engine returns the workflow that Advance is given.
func (s sabotage) engine(w *Workflow, l *saga.Ledger) *Workflow {
	if !s.anyOrder && !s.oneMore {
		return w
	}
	broken := *w
	if s.anyOrder && (l.Phase == saga.RunUndoing || l.Counts()[saga.Failed] > 0) {
		names := make([]string, len(w.ops))
		for k := range names {
			names[k] = w.ops[k].Name
		}
		broken.graph, _ = dag.Build(names, nil)
	}
	if s.oneMore {
		spec := *w.spec
		spec.ParallelLimit++
		broken.spec = &spec
	}
	return &broken
}

// simulation is one run of one workflow through one world.
type simulation struct {
	*world
	operators []*operator
	steps     int
}

func newSimulation(seed uint64, broken sabotage) *simulation {
	rng := rand.New(rand.NewPCG(seed, 0x6b65656c))
	m := &maker{rng: rng}
	w := &world{
		rng: rng, now: time.Unix(1_800_000_000, int64(rng.IntN(1000))*1_000_000), flow: randomWorkflow(rng), compiled: map[int64]*Workflow{},
		named: map[string]*history{}, taken: map[string]bool{}, leaves: map[int]*leaf{}, visited: coverage{}, broken: broken, trace: func(string, ...any) {},
	}
	w.checks.w = w
	s := &simulation{world: w}
	bad := []int{0, 0, 10, 30, 60}[rng.IntN(5)]
	compiled := w.workflow(w.flow)
	for k := range compiled.ops {
		op := &compiled.ops[k]
		for i := op.first; i < op.first+op.count; i++ {
			w.leaves[i] = m.leaf(w.flow, op.Operation, i, bad)
			if op.child != "" && bad > 0 && m.chance(1) {
				w.taken[compiled.names[i]] = true
			}
		}
	}
	for n := range 1 + rng.IntN(2) {
		o := &operator{w: w, name: fmt.Sprintf("operator %d", n+1)}
		o.start()
		s.operators = append(s.operators, o)
	}
	return s
}

// run goes through a stormy time and then a calm one, in which everything must come to its end.
func (s *simulation) run() error {
	storms := 20 + s.rng.IntN(160)
	if s.rng.IntN(3) == 0 {
		storms += s.rng.IntN(600)
	}
	for range storms {
		if s.checks.problem != nil {
			return s.checks.problem
		}
		s.storm()
	}
	s.settle()
	for s.checks.problem == nil {
		s.steps++
		if s.steps > 20_000 {
			return s.checks.fail("I11: it does not come to an end: %s", s.checks.describe())
		}
		if !s.calmly() {
			break
		}
	}
	if s.checks.problem == nil {
		s.checks.end(s.operators)
	}
	return s.checks.problem
}

// storm is one thing that happens while anything may.
func (s *simulation) storm() {
	o := s.operators[s.rng.IntN(len(s.operators))]
	switch n := s.rng.IntN(100); {
	case n < 50:
		s.turn(o)
	case n < 70:
		if len(s.children) > 0 {
			s.work(s.children[s.rng.IntN(len(s.children))])
		}
	case n < 80:
		o.watch(min(s.version, o.seen+s.rng.Int64N(12)))
	case n < 90:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(1500 * time.Millisecond))))
	case n < 94:
		s.leap()
	case n < 96:
		if len(o.todo) > 0 {
			s.visited.see("crash before " + strings.SplitN(o.todo[0].what, ":", 2)[0])
		}
		s.trace("%s dies", o.name)
		o.start()
	case n < 98:
		o.frozen = s.rng.IntN(80)
	default:
		s.mischief()
	}
}

// turn lets an operator do one step.
func (s *simulation) turn(o *operator) {
	switch {
	case o.frozen > 0:
		if o.frozen--; o.frozen == 0 {
			o.thaw()
		}
	case len(o.todo) > 0:
		o.step()
		if len(s.operators) > 1 && len(o.todo) > 0 && strings.HasPrefix(o.todo[0].what, "deed") && s.rng.IntN(12) == 0 {
			o.frozen = 20 + s.rng.IntN(300) // until its order may be out of date
		}
	case o.due() || s.rng.IntN(8) == 0:
		o.look()
	}
}

// mischief is what people do.
func (s *simulation) mischief() {
	switch n := s.rng.IntN(6); {
	case n < 2 && len(s.children) > 0:
		h := s.children[s.rng.IntN(len(s.children))]
		if h.live() != nil && h.live().GetDeletionTimestamp() == nil {
			s.trace("%s vanishes", h.name)
			s.vanish(h)
		}
	case n < 4:
		s.visited.see("suspend toggled")
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = !spec.Suspend })
	case n < 6:
		s.visited.see("limit edited")
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.ParallelLimit = int32(1 + s.rng.IntN(5)) })
	}
}

// leap goes to the next moment at which a leaf or an operator is due.
func (s *simulation) leap() bool {
	var next time.Time
	consider := func(t time.Time, ok bool) {
		if ok && t.After(s.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, h := range s.children {
		consider(s.due(h))
	}
	for _, o := range s.operators {
		consider(o.wake, !o.wake.IsZero())
	}
	if next.IsZero() {
		return false
	}
	s.now = next
	return true
}

// settle ends the storm: nothing fails any more, caches catch up, and nobody holds the workflow.
func (s *simulation) settle() {
	s.trace("calm")
	s.calm = true
	if s.flow.Spec.Suspend {
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = false })
	}
}

// calmly does what is due, or lets time pass. Nobody looks without being woken: a wake-up that the engine forgot to ask for is
// noticed. Who is frozen goes on when all else is at rest. It returns false when nothing is left to happen.
func (s *simulation) calmly() bool {
	busy := false
	for _, o := range s.operators {
		if o.frozen > 0 {
			continue
		}
		if len(o.todo) == 0 {
			o.watch(s.version)
			if !o.due() {
				continue
			}
			o.look()
		}
		for len(o.todo) > 0 {
			o.step()
		}
		busy = true
	}
	for _, h := range s.children {
		busy = s.work(h) || busy
	}
	return busy || s.leap() || slices.ContainsFunc(s.operators, func(o *operator) bool { return o.frozen > 0 && o.thaw() })
}

// report is what became of many simulations.
type report struct {
	sync.Mutex
	runs    int
	visited coverage
	failed  []uint64
	first   error
}

func (r *report) add(seed uint64, s *simulation, err error) {
	r.Lock()
	defer r.Unlock()
	r.runs++
	for what, n := range s.visited {
		r.visited[what] += min(n, 1)
	}
	if s.durable != nil {
		r.visited["ended "+s.durable.Phase.String()]++
		met := coverage{}
		for i, phase := range s.durable.Phases {
			met["phase at the end "+phase.String()] = 1
			if reason := s.durable.Reason(i); reason != "" {
				met["failure "+reason] = 1
			}
		}
		for what := range met {
			r.visited[what]++
		}
	}
	if err != nil {
		r.failed = append(r.failed, seed)
		if r.first == nil || seed == slices.Min(r.failed) {
			r.first = err
		}
	}
}

// simulate runs n seeds on all processors, and stops early once a few have failed.
func simulate(first uint64, n int, broken sabotage) *report {
	r := &report{visited: coverage{}}
	var next, failed atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				k := next.Add(1) - 1
				if k >= int64(n) || failed.Load() >= 3 {
					return
				}
				s := newSimulation(first+uint64(k), broken)
				err := s.run()
				if err != nil {
					failed.Add(1)
				}
				r.add(first+uint64(k), s, err)
			}
		})
	}
	group.Wait()
	return r
}

// TestSimulation runs random workflows through crashes, lost replies, conflicts, two operators at once and stale caches, and
// checks the invariants of FAULTS.md at every step. See simulation_check_test.go for what is checked.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		s := newSimulation(*oneSeed, sabotage{})
		s.world.trace = func(format string, args ...any) {
			t.Logf("%s  v%d  %s", s.now.Format("04:05.000"), s.version, fmt.Sprintf(format, args...))
		}
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		t.Log(s.checks.describe())
		return
	}
	n := *runs
	if n == 0 {
		if n = 20_000; testing.Short() {
			n = 2_000
		}
	}
	r := simulate(*from, n, sabotage{})
	for _, seed := range slices.Sorted(slices.Values(r.failed)) {
		t.Errorf("seed %d fails; see every step with: go test ./internal/plan -run 'TestSimulation$' -v -seed=%d", seed, seed)
	}
	if r.first != nil {
		t.Fatalf("the first one: %v", r.first)
	}
	lines := make([]string, 0, len(r.visited))
	for _, what := range slices.Sorted(maps.Keys(r.visited)) {
		lines = append(lines, fmt.Sprintf("%7d  %s", r.visited[what], what))
	}
	t.Logf("%d runs; in how many of them what was met:\n%s", r.runs, strings.Join(lines, "\n"))
	for what, least := range minimum {
		if least = least * n / 20_000; r.visited[what] < least {
			t.Errorf("%q was met in %d of %d runs, and at least %d are wanted", what, r.visited[what], n, least)
		}
	}
}

// TestSimulationCatches breaks one guard after the other and wants to see the invariant that notices. What is broken is the
// shell, or what the engine is given, so the engine itself stays as it is.
func TestSimulationCatches(t *testing.T) {
	cases := map[string]struct {
		reason string
		broken sabotage
		want   []string // how the message begins: one of these
	}{
		"act before record":                  {"a crash between them leaves a child that no ledger knows", sabotage{actFirst: true}, []string{"I2: "}},
		"compare-and-swap ignored":           {"two operators overwrite each other", sabotage{noSwap: true}, []string{"I4: ", "I14: "}},
		"Stalled of an older attempt counts": {"attempts are used up before the child hears of them", sabotage{oldStalled: true}, []string{"an attempt is used up"}},
		"Undoing believed without Confirm":   {"a child that the cache does not show yet is forgotten", sabotage{noConfirm: true}, []string{"I10: "}},
		"deeds of a remembered ledger":       {"a frozen operator makes what its successor takes away", sabotage{hasty: true}, []string{"I11: ", "I13: "}},
		"undo not in order":                  {"a server goes before the service on it", sabotage{anyOrder: true}, []string{"I7: "}},
		"limit off by one":                   {"one more is started than may be", sabotage{oneMore: true}, []string{"I6: "}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := simulate(1, 4000, c.broken)
			if r.first == nil {
				t.Fatalf("%d runs do not notice it: %s", r.runs, c.reason)
			}
			t.Logf("run %d of %d: %v", slices.Min(r.failed), r.runs, r.first)
			if !slices.ContainsFunc(c.want, func(prefix string) bool { return strings.HasPrefix(r.first.Error(), prefix) }) {
				t.Errorf("want a message that begins with one of %q", c.want)
			}
		})
	}
}
