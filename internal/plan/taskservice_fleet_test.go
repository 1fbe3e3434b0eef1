package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// fleet is machines that a service is put on, with a shell that records before it does and may die at any point in between.
type fleet struct {
	t       *rapid.T
	now     time.Time
	uid     string
	durable []v1alpha1.ServiceOnServer // what the API server holds
	looks   map[string]HealthLook      // what the operator remembers
	boxes   map[string]*berth
	digest  string
	slots   int
	erase   bool // the TaskService is being deleted
	calm    bool // faults have stopped
	gone    bool // the object is gone
	done    map[string]int
}

// berth is one server and its machine.
type berth struct {
	state   HostState
	machine string
	at      string // digest that is applied there
	broken  bool   // its health fails until the next apply
	drifted bool   // another hand changed a file, and its health does not mind
	runs    map[string]*berthRun
	begun   []string // "verb digest", in order, on this machine
}

type berthRun struct {
	do     RunVerb
	digest string
	state  RunState
	code   int
	change bool // of what was installed before
}

func newFleet(t *rapid.T, n int) *fleet {
	w := &fleet{t: t, now: time.Unix(1_700_000_000, 0), uid: "uid", looks: map[string]HealthLook{}, boxes: map[string]*berth{}, digest: "d1", slots: rapid.IntRange(1, 3).Draw(t, "slots"), done: map[string]int{}}
	for i := range n {
		w.boxes[fmt.Sprintf("s%d", i)] = &berth{state: HostReady, machine: fmt.Sprintf("m%d", i), runs: map[string]*berthRun{}}
	}
	return w
}

func (w *fleet) names() []string {
	var names []string
	for name := range w.boxes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// advance lets every run that is under way go on: it ends, unless chance keeps it waiting.
func (w *fleet) advance() {
	for _, name := range w.names() {
		b := w.boxes[name]
		for _, id := range slices.Sorted(idsOfRuns(b.runs)) {
			r := b.runs[id]
			if r.state != RunStateRunning && r.state != RunStateWaiting || !w.calm && w.chance("slow", 3) {
				continue
			}
			r.state, r.code = RunStateExited, w.outcome(b, r)
		}
	}
}

func idsOfRuns(m map[string]*berthRun) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// outcome is what a script does and how it ends.
func (w *fleet) outcome(b *berth, r *berthRun) int {
	if !w.calm && !isLook(r.do) && w.chance("trouble", 6) {
		return rapid.SampledFrom([]int{exitNotYet, exitDownload}).Draw(w.t, "code")
	}
	switch r.do {
	case RunCheck, RunVerify, RunDrift:
		if b.at != r.digest || b.broken || b.drifted {
			return exitDiffers
		}
	case RunApply:
		b.at, b.broken, b.drifted = r.digest, false, false
	case RunHealth:
		if b.broken {
			return 1
		}
	case RunRemove:
		b.at = ""
	}
	return 0
}

// isLook reports whether a run is never recorded.
func isLook(do RunVerb) bool { return do == RunHealth || do == RunDrift }

func (w *fleet) chance(what string, oneIn int) bool {
	return rapid.IntRange(1, oneIn).Draw(w.t, what) == 1
}

// reconcile is one walk of the shell. It may die before the record, after it, or between two deeds.
func (w *fleet) reconcile() ServiceStep {
	seen := ServiceSeen{UID: w.uid, Deleting: w.erase, Version: "1.0.0", Interval: 30 * time.Second, Pause: time.Second, Slots: w.slots}
	recorded := map[string]v1alpha1.ServiceOnServer{}
	for _, s := range w.durable {
		recorded[s.Name] = *s.DeepCopy()
	}
	for _, name := range w.names() {
		b := w.boxes[name]
		h := Host{Name: name, Wanted: true, Digest: w.digest, Machine: b.machine, State: b.state, Why: "not ready", Recorded: recorded[name], Look: w.looks[name]}
		if b.state == HostGone {
			h.Machine = ""
		}
		if id := h.Asks(w.uid); id != "" {
			h.Said = &RunSaid{State: RunStateMissing}
			if r := b.runs[id]; r != nil {
				h.Said = &RunSaid{State: r.state, Code: r.code, Tail: "said why\n"}
			}
		}
		seen.Hosts = append(seen.Hosts, h)
	}
	step := TaskService(seen, w.now)
	w.check(step)
	if !w.calm && w.chance("dies before the record", 12) {
		return w.die(step)
	}
	w.durable = step.Servers
	for _, a := range step.Actions {
		if !w.calm && w.chance("dies before a deed", 12) {
			return w.die(step)
		}
		w.deed(a)
	}
	if w.erase && step.Finished {
		w.gone = true
	}
	return step
}

func (w *fleet) die(step ServiceStep) ServiceStep {
	w.looks = map[string]HealthLook{}
	return step
}

// deed does one action as the runner does.
func (w *fleet) deed(a RunAction) {
	b := w.boxes[a.Server]
	for _, id := range a.Forget {
		if r := b.runs[id]; r != nil && (r.state == RunStateRunning || r.state == RunStateWaiting) {
			w.t.Fatalf("run %s on %s is forgotten while it is alive", id, a.Server)
		}
		delete(b.runs, id)
	}
	for _, id := range a.Halt {
		delete(b.runs, id)
	}
	switch a.Do {
	case RunStop:
		delete(b.runs, a.ID)
		for i := range w.durable {
			if w.durable[i].Name == a.Server {
				w.durable[i] = *a.Then
			}
		}
	case RunDrop:
		w.durable = slices.DeleteFunc(w.durable, func(s v1alpha1.ServiceOnServer) bool { return s.Name == a.Server })
	case RunCheck, RunApply, RunVerify, RunHealth, RunDrift, RunRemove:
		w.begin(a, b)
	}
	w.looks[a.Server] = a.Look
}

// begin starts a run, once: an id that is known is a no-op.
func (w *fleet) begin(a RunAction, b *berth) {
	if b.state != HostReady {
		w.t.Fatalf("%s is started on %s, which is %s", a.Do, a.Server, b.state)
	}
	if b.runs[a.ID] != nil {
		return
	}
	for id, other := range b.runs {
		if !isLook(other.do) && (other.state == RunStateRunning || other.state == RunStateWaiting) {
			w.t.Fatalf("%s is started on %s while %s (%s) is alive", a.Do, a.Server, other.do, id)
		}
	}
	if !isLook(a.Do) && w.done[a.ID] > 0 {
		w.t.Fatalf("%s on %s has the id of an earlier run", a.Do, a.Server)
	}
	w.done[a.ID]++
	b.runs[a.ID] = &berthRun{do: a.Do, digest: w.digest, state: RunStateRunning, change: w.alone(a)}
	if !isLook(a.Do) {
		w.order(a, b)
		b.begun = append(b.begun, string(a.Do))
	}
}

// order: apply only after a check, verify only after an apply or as a repetition.
func (w *fleet) order(a RunAction, b *berth) {
	last := ""
	if len(b.begun) > 0 {
		last = b.begun[len(b.begun)-1]
	}
	switch a.Do {
	case RunApply:
		if last != string(RunCheck) {
			w.t.Fatalf("apply on %s after %q and not after a check", a.Server, last)
		}
	case RunVerify:
		if last != string(RunApply) && last != string(RunVerify) {
			w.t.Fatalf("verify on %s after %q", a.Server, last)
		}
	}
}

// check holds for every decision: one entry a server.
func (w *fleet) check(step ServiceStep) {
	for i, s := range step.Servers {
		if slices.ContainsFunc(step.Servers[:i], func(o v1alpha1.ServiceOnServer) bool { return o.Name == s.Name }) {
			w.t.Fatalf("server %s is there twice", s.Name)
		}
	}
}

// alone: a change of what was installed before is applied on as many servers at a time as there are slots.
func (w *fleet) alone(a RunAction) bool {
	i := slices.IndexFunc(w.durable, func(s v1alpha1.ServiceOnServer) bool { return s.Name == a.Server })
	if a.Do != RunApply || w.durable[i].Digest == "" || w.durable[i].Digest == w.digest && w.durable[i].Reason != string(fault.ReasonDrifted) {
		return false
	}
	at := 1
	for name, b := range w.boxes {
		for _, r := range b.runs {
			if name != a.Server && r.change && (r.state == RunStateRunning || r.state == RunStateWaiting) && b.state == HostReady {
				at++
			}
		}
	}
	if at > w.slots {
		w.t.Fatalf("%d servers are changed at once, for %d slots", at, w.slots)
	}
	return true
}

// settle runs the fleet without faults until nothing moves.
func (w *fleet) settle() ServiceStep {
	w.calm = true
	var step ServiceStep
	for range 400 {
		w.advance()
		step = w.reconcile()
		w.now = w.now.Add(max(step.Wake, time.Second))
		if w.gone || !w.erase && step.Outcome == nil && !w.unnoticed() {
			return step
		}
		if fault.IsTerminal(step.Outcome) { // a person raises the attempt
			Retried(w.durable)
		}
	}
	w.t.Fatalf("it does not end: %v\n%+v", step.Outcome, step.Servers)
	return step
}

// unnoticed reports whether a service is broken that still counts as ready: a look at its health will tell.
func (w *fleet) unnoticed() bool {
	for _, b := range w.boxes {
		if b.broken || b.drifted {
			return true
		}
	}
	return false
}

// TestTaskServiceFleet: whatever goes wrong in whatever order, and wherever the operator dies, a service ends ready everywhere
// with what is wanted last, or gone without a trace; no run has an id twice, none overlaps, and at rest nothing changes.
func TestTaskServiceFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newFleet(t, rapid.IntRange(1, 4).Draw(t, "servers"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.trouble()
			w.advance()
			step := w.reconcile()
			w.now = w.now.Add(max(step.Wake, time.Second))
			if w.gone {
				break
			}
		}
		for _, b := range w.boxes {
			if b.state == HostWaiting {
				b.state = HostReady
			}
			if b.state == HostGone && !w.erase {
				b.state, b.machine, b.runs, b.at, b.begun = HostReady, b.machine+"+", map[string]*berthRun{}, "", nil
			}
		}
		if !w.gone {
			w.settle()
		}
		if !w.erase { // a change of a service that is ready
			w.digest = "d9"
			w.settle()
		}
		w.end()
	})
}

// trouble lets the fleet change by chance.
func (w *fleet) trouble() {
	for _, name := range w.names() {
		b := w.boxes[name]
		switch rapid.IntRange(0, 30).Draw(w.t, "trouble on "+name) {
		case 0:
			b.state = rapid.SampledFrom([]HostState{HostReady, HostWaiting, HostGone}).Draw(w.t, "state")
			if b.state == HostGone { // its machine goes with it: the next Server of that name has another one
				b.machine, b.runs, b.at, b.begun, b.drifted = b.machine+"+", map[string]*berthRun{}, "", nil, false
			}
		case 1:
			b.broken = b.at != ""
		case 3:
			b.drifted = b.at != ""
		case 2:
			for _, id := range slices.Sorted(idsOfRuns(b.runs)) { // a reboot
				if b.runs[id].state == RunStateRunning {
					b.runs[id].state = RunStateLost
				}
			}
		}
	}
	switch rapid.IntRange(0, 40).Draw(w.t, "wish") {
	case 0:
		w.digest = rapid.SampledFrom([]string{"d1", "d2", "d3"}).Draw(w.t, "digest")
	case 1:
		w.erase = true
	case 2:
		Retried(w.durable)
	}
}

// end checks what is left.
func (w *fleet) end() {
	for _, name := range w.names() {
		b := w.boxes[name]
		for id, r := range b.runs {
			if w.erase && !isLook(r.do) && !w.leak(r) {
				w.t.Fatalf("run %s (%s) is left on %s", id, r.do, name)
			}
		}
		switch {
		case w.erase && b.state == HostReady && b.at != "" && len(b.begun) > 0:
			w.t.Fatalf("%s is left on %s after %v", b.at, name, b.begun)
		case !w.erase && b.drifted:
			w.t.Fatalf("what another hand changed on %s is not put back", name)
		case !w.erase && b.at != w.digest:
			w.t.Fatalf("%s is on %s, want %s", b.at, name, w.digest)
		}
	}
	if w.erase {
		return
	}
	first := w.reconcile()
	if first.Outcome != nil || int(first.Ready) != len(w.boxes) {
		w.t.Fatalf("at rest %d of %d are ready: %v", first.Ready, len(w.boxes), first.Outcome)
	}
	before := slices.Clone(w.durable)
	for range 5 {
		w.advance()
		step := w.reconcile()
		w.now = w.now.Add(max(step.Wake, time.Second))
		for i := range before {
			if fmt.Sprint(before[i]) != fmt.Sprint(step.Servers[i]) {
				w.t.Fatalf("at rest the status changes: %+v → %+v", before[i], step.Servers[i])
			}
		}
	}
}

// leak: a directory of an ended run may stay behind where the operator died just before it forgot it.
func (w *fleet) leak(r *berthRun) bool { return r.state == RunStateExited || r.state == RunStateLost }
