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
	"ended Succeeded": 4000, "ended Failed": 1500, "ended RolledBack": 2000, "ended RollbackFailed": 200, "ended Cancelled": 200,
	"asked to retry": 1000, "asked to rollback": 1000, "asked to cancel": 1000, "asked to abort": 500, "request refused": 500,
	"run goes on": 300, "undone after its end": 300, "undone after it had failed": 4, "undone at another try": 20, "story forgotten": 300,
	"asked to approve": 800, "approved": 500, "approved after it had been refused": 20, "plan approved": 500, "plan refused": 200, "plan stale": 40, "ended Planned": 50, "ran by its plan": 300, "did what its plan said": 300,
	"child: Switch": 300, "switched": 200, "switched back": 5, "ended awaiting approval": 50, "approval given again": 20,
	"kept by keepOnUndo": 300, "skipped by its condition": 200, "failure NoPartner": 200, "started before its operation's predecessor had ended": 200, "failure Cancelled": 300,
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
	"checkpoint lost": 1000, "ledger rebuilt": 1000, "rebuilt Running": 100, "rebuilt Succeeded": 300, "rebuilt Pending": 30, "rebuilt Unknown": 300,
	"rebuilt Undoing": 5, "failure CheckpointLost": 300, "a lost instance is tried again": 50,
	"another run": 3000, "planned anew under a run": 800, "outcome kept": 2000, "left in place": 400, "pruned": 40, "replaced": 800, "service went with its server": 20,
	"child: Update": 900, "child: Revert": 150, "child: Retreat": 3, "put back as it was": 100, "edited: head of forEach": 150, "edited: an earlier spec": 400,
	"crash before rewrite": 15, "crash after rewrite": 15, "refused rewrite": 20, "lost reply of rewrite": 15,
	"attempt raised": 500, "child ready": 4000, "child stalled": 2000, "child unknown": 200, "deletion stalled": 300, "recovered by itself": 50,
	"expanded: one": 150, "expanded: many": 500, "expanded anew in a later run, or after an edit": 20, "no longer listed": 5, "a child says another list": 100,
	"crash between an expansion and what is made of it": 100, "edited: forEach to forEachFrom": 80, "edited: forEachFrom to forEach": 150,
	"expanded, at the end Succeeded": 500, "expanded, at the end Failed": 60, "expanded, at the end Omitted": 100, "expanded, at the end Undone": 100, "expanded, at the end UndoFailed": 15,
	"never expanded, at the end Failed": 150, "never expanded, at the end Skipped": 80,
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
	anyForm    bool // what an earlier form of a child says counts for the present one
	anyRun     bool // what stood before the run is undone like what the run made
	selfGiven  bool // the operator gives approvals itself
	noGate     bool // a run goes on although nobody has approved its plan
	anyPlan    bool // who approves a plan that is out of date approves the one that there is now
	anew       bool // a lost ledger is begun anew
	trusting   bool // what is left after a loss is held for what is written now
	rereads    bool // what an output lists is what its child says now
	oneRecord  bool // what is expanded begins in the record that makes it known
}

// engine returns the workflow that Advance is given.
func (s sabotage) engine(w *Workflow, l *saga.Ledger) *Workflow {
	if !s.anyOrder && !s.oneMore {
		return w
	}
	broken := *w
	if s.anyOrder && l.Phase == saga.RunUndoing {
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
	asks      int
	outdated  string                 // the hash of a plan that somebody read before the world changed
	read      []string               // hashes of plans that somebody has read
	editing   bool                   // somebody edits operations
	losing    bool                   // somebody loses the Checkpoint
	added     int                    // operations
	former    [][]v1alpha1.Operation // as they were
}

func newSimulation(seed uint64, broken sabotage) *simulation {
	rng := rand.New(rand.NewPCG(seed, 0x6b65656c))
	m := &maker{rng: rng}
	w := &world{
		rng: rng, now: time.Unix(1_800_000_000, int64(rng.IntN(1000))*1_000_000), flow: randomWorkflow(rng), compiled: map[int64]*Workflow{},
		approved: map[string]bool{}, named: map[string]*history{}, taken: map[string]bool{}, leaves: map[string]*leaf{}, visited: coverage{}, broken: broken, trace: func(string, ...any) {},
	}
	w.checks.w = w
	s := &simulation{world: w, editing: rng.IntN(100) < 60}
	s.losing = !s.editing || rng.IntN(100) < 30
	w.maker, w.bad = m, []int{0, 0, 10, 30, 60}[rng.IntN(5)]
	for _, name := range w.workflow(w.flow).names {
		if name != "" && w.bad > 0 && m.chance(1) {
			w.taken[name] = true
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
	s.calmDown()
	s.seasons()
	if s.checks.problem == nil && s.rng.IntN(3) == 0 { // somebody looks at how it ended, and asks for more
		s.ask()
		s.calmDown()
	}
	return s.checks.problem
}

// calmDown goes on until nothing is left to happen.
func (s *simulation) calmDown() {
	s.steps = 0
	for s.checks.problem == nil {
		s.steps++
		if s.steps > 20_000 {
			s.checks.fail("I11: it does not come to an end: %s", s.checks.describe())
			return
		}
		if !s.calmly() {
			break
		}
	}
	if s.checks.problem == nil {
		s.checks.end(s.operators)
	}
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
		s.spanned(met)
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
		"approvals that nobody gave":         {"what should have waited goes on", sabotage{selfGiven: true}, []string{"approved by nobody"}},
		"a lost ledger begun anew":           {"what was done is done again", sabotage{anew: true}, []string{"I13: ", "I4: "}},
		"an earlier form counts":             {"a changed instance succeeds before its child was changed", sabotage{anyForm: true}, []string{"I18: ", "I2: ", "an attempt is used up"}},
		"effects of earlier runs are undone": {"a failed second run deletes what the first one made", sabotage{anyRun: true}, []string{"I10: ", "I19: ", "I8: ", "I7: "}},
		"what is left is what is written":    {"a command succeeds as it was never run", sabotage{trusting: true}, []string{"I23: ", "I18: ", "I4: "}},
		"lists are read again":               {"a run goes on by another list than it began with", sabotage{rereads: true}, []string{"outputs of operation", "I22: "}},
		"an expansion begins unrecorded":     {"a crash leaves children that follow from no list on record", sabotage{oneRecord: true}, []string{"I22: "}},
		"a stale plan's approval counts":     {"an apply does what nobody has seen", sabotage{anyPlan: true}, []string{"I20: "}},
		"a plan that nobody approved runs":   {"an apply does what nobody has seen", sabotage{noGate: true}, []string{"I20: "}},
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
