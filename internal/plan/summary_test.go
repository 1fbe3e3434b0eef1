package plan

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// lines are the summary's operations: "name/key Phase (waits for …)".
func (s *stage) lines() (out []string) {
	for _, op := range Summarise(s.w, s.l, s.sights).Operations {
		line := op.Name + " " + op.Phase
		if op.Key != "" {
			line = op.Name + "/" + op.Key + " " + op.Phase
		}
		for _, w := range op.WaitingFor {
			if line += " <"; w.Limit != "" {
				line += w.Limit
			} else {
				line += fmt.Sprintf("%s %s %s", w.Type, w.Operation, w.Phase)
			}
		}
		out = append(out, line)
	}
	return out
}

func TestWaitingFor(t *testing.T) {
	spec := "parallelLimit: 1\n" + ops(server("a", ", retry: {limit: 1, backoff: {duration: 1m}}"), server("b", ""), server("c", ", dependsOn: [{operation: a}, {operation: b, type: Soft}]"))
	s := newStage(t, spec)
	cases := []struct {
		why  string
		do   func()
		want []string
	}{
		{"operations, and the limit", func() {}, []string{"a/0 Running", "b Pending <parallelLimit: 1", "c Pending <Hard a Running <Soft b Pending"}},
		{"the child's own queue", func() {
			s.see("a/0", Sight{Queued: true, Reason: "Queued", Message: "5 of 5 machines in the making at account p"}).at(time.Second)
		}, []string{"a/0 Running <5 of 5 machines in the making at account p", "b Pending <parallelLimit: 1", "c Pending <Hard a Running <Soft b Pending"}},
		{"the next attempt", func() { s.see("a/0", stalled(1)).at(2 * time.Second) },
			[]string{"a/0 Retrying <retry.backoff", "b Pending <parallelLimit: 1", "c Pending <Hard a Running <Soft b Pending"}},
		{"suspend", func() {
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend, spec.ParallelLimit = true, 5 })
			s.at(3 * time.Second)
		}, []string{"a/0 Retrying <retry.backoff", "b Pending <suspend", "c Pending <Hard a Running <Soft b Pending"}},
	}
	for _, c := range cases {
		c.do()
		if diff := cmp.Diff(c.want, s.lines()); diff != "" {
			t.Errorf("%s:\n%s", c.why, diff)
		}
	}
	status := Summarise(s.w, s.l, s.sights)
	if a := status.Operations[0]; a.NextAttemptAt == nil || a.NextAttemptAt.Sub(s.begun) != 62*time.Second || a.Reason != "QuotaExceeded" || a.Message == "" ||
		a.Attempt != 1 || a.ChildRef == nil || *a.ChildRef != (v1alpha1.ChildRef{Kind: KindServer, Name: s.w.names[0]}) || !a.StartedAt.Time.Equal(s.begun) {
		t.Errorf("a retrying operation reads %+v", a)
	}
	if status.Phase != v1alpha1.WorkflowSuspended || status.Progress != "0/3" || *status.Counts != (v1alpha1.WorkflowCounts{Pending: 3}) || status.Run.Number != 1 || status.Run.FinishedAt != nil {
		t.Errorf("the whole reads %+v, counts %+v, run %+v", status, status.Counts, status.Run)
	}
}

// TestSelection: of many, people see what failed, what runs, what waits, and what ended last.
func TestSelection(t *testing.T) {
	s := newStage(t, "parallelLimit: 1000\n"+ops(
		`{name: many, type: ServerBatch, serverBatch: {count: 500, template: {spec: {providerRef: {name: p}}}}}`, server("last", ", dependsOn: [{operation: many}]")))
	for n := range 300 {
		s.see(fmt.Sprintf("many/%d", n), ready).at(time.Duration(n) * time.Second)
	}
	count := func() map[string]int {
		out := map[string]int{}
		for _, op := range Summarise(s.w, s.l, s.sights).Operations {
			out[op.Phase]++
		}
		return out
	}
	if diff := cmp.Diff(map[string]int{"Running": 16, "Pending": 1, "Succeeded": 47}, count()); diff != "" {
		t.Error(diff)
	}
	lines := strings.Join(s.lines(), "\n")
	if !strings.Contains(lines, "many/299 ") || !strings.Contains(lines, "many/253 ") || strings.Contains(lines, "many/252 ") {
		t.Errorf("want the 47 that ended last:\n%s", lines)
	}
	for n := 300; n < 400; n++ {
		s.see(fmt.Sprintf("many/%d", n), stalled(1))
	}
	s.at(time.Hour)
	if diff := cmp.Diff(map[string]int{"Failed": 32, "Running": 16, "Omitted": 1, "Succeeded": 15}, count()); diff != "" {
		t.Error(diff)
	}
	if last := s.lines(); last[len(last)-1] != "last/0 Omitted" {
		t.Errorf("they are not in order of declaration: %s", last)
	}
}

// TestManyWait: of a hundred operations that wait, people see the first ones.
func TestManyWait(t *testing.T) {
	lines := []string{server("a", "")}
	for k := range 100 {
		lines = append(lines, server(fmt.Sprintf("b%d", k), ", dependsOn: [{operation: a}]"))
	}
	if got := newStage(t, ops(lines...)).lines(); len(got) != 17 || got[16] != "b15 Pending <Hard a Running" {
		t.Errorf("%d lines: %s", len(got), got)
	}
}

// TestSummaryIsBounded: whatever children say, and however much of it.
func TestSummaryIsBounded(t *testing.T) {
	var lines []string
	for k := range 40 {
		more := ""
		for d := max(0, k-16); d < k && k > 20; d++ {
			more += fmt.Sprintf("{operation: %s%02d, type: Soft}, ", strings.Repeat("o", 38), d)
		}
		lines = append(lines, fmt.Sprintf(`{name: %s%02d, type: ServerBatch, dependsOn: [%s], retry: {limit: %d}, serverBatch: {count: 4, template: {spec: {providerRef: {name: p}}}}}`, strings.Repeat("o", 38), k, more, k%2))
	}
	w, err := Compile(flow(t, "parallelLimit: 1000\nonFailure: Rollback\n"+ops(lines...)), nil)
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l, err := w.Start(1_800_000_000)
		for round := int64(0); round < 4 && err == nil; round++ {
			sights := Sights{}
			for i := range l.N() {
				sights[i] = chatter(rng, seed, l.Phases[i] == saga.Undoing)
			}
			if l, _, err = Advance(w, l, sights, nil, time.Unix(1_800_000_000+round*100, 0)); err == nil {
				longest = max(longest, bounded(t, w, l, sights))
			}
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if longest < maxStatus*3/4 {
		t.Errorf("the longest summary had %d bytes: nothing came near the bound", longest)
	}
}

// chatter is a child with much to say.
func chatter(rng *rand.Rand, seed uint64, undoing bool) Sight {
	nasty := []string{"<", "\x00", "é", "\xff", "\"", "\\", "\u2028", "x", "🚢"}[seed%9]
	s := Sight{Exists: true, UID: "u", Asked: 9, Answered: 9, Reason: strings.Repeat("R", rng.IntN(80)), Message: strings.Repeat(nasty, rng.IntN(2000))}
	s.Stalled = seed%2 == 0 || rng.IntN(3) == 0
	s.Queued = !s.Stalled
	s.Deleting = undoing
	return s
}

// bounded holds a summary and a verdict against the API's own bounds.
func bounded(t testing.TB, w *Workflow, l *saga.Ledger, sights Sights) int {
	t.Helper()
	status := Summarise(w, l, sights)
	text, err := json.Marshal(status)
	if err != nil || len(text) > 32<<10-6<<10 || len(status.Operations) > 64 || len(status.Leftovers) > 64 { // the conditions need some, too
		t.Fatalf("%d operations, %d left-overs, %d bytes: %v", len(status.Operations), len(status.Leftovers), len(text), err)
	}
	for _, op := range status.Operations {
		if !utf8.ValidString(op.Message) || len(op.Message) > 512 || len(op.Reason) > 64 || len(op.WaitingFor) > 16 || len(op.Name) > 40 || len(op.Key) > 40 {
			t.Fatalf("beyond the API's bounds: %+v", op)
		}
		for _, wait := range op.WaitingFor {
			if utf8.RuneCountInString(wait.Limit) > 256 {
				t.Fatalf("beyond the API's bounds: %+v", wait)
			}
		}
	}
	if verdict := Verdict(w, l, time.Second); verdict != nil && len(verdict.Error()) > 1<<10 {
		t.Fatalf("the verdict is %d bytes long", len(verdict.Error()))
	}
	return len(text)
}

func TestVerdict(t *testing.T) {
	type verdict struct {
		class  fault.Class
		reason fault.Reason
		says   string
	}
	cases := map[string]struct {
		spec string
		play func(s *stage)
		want verdict
	}{
		"under way": {ops(server("a", ""), server("b", ""), server("c", ""), server("d", ""), server("e", "")), func(s *stage) { s.see("a/0", ready).at(1) },
			verdict{fault.Wait, fault.ReasonInProgress, "1 of 5 done; running: b, c, d and 1 more"}},
		"suspended": {"suspend: true\n" + ops(server("a", "")), func(s *stage) {},
			verdict{fault.Wait, v1alpha1.ReasonSuspended, "0 of 1 done; suspended: nothing new starts while spec.suspend is true"}},
		"failed and not ended": {ops(server("a", ""), server("b", "")), func(s *stage) { s.see("a/0", stalled(1)).at(1) },
			verdict{fault.Wait, fault.ReasonInProgress, `0 of 2 done; running: b; nothing new starts: operation "a": QuotaExceeded: the quota of 20 machines is used up`}},
		"failed": {ops(server("a", "")), func(s *stage) { s.see("a/0", stalled(1)).at(1) },
			verdict{fault.Terminal, v1alpha1.ReasonFailed, `0 of 1 done: operation "a": QuotaExceeded: the quota of 20 machines is used up`}},
		"undoing": {"onFailure: Rollback\n" + ops(server("a", "")), func(s *stage) { s.see("a/0", stalled(1)).at(1) },
			verdict{fault.Wait, fault.ReasonInProgress, `undoing (0 undone, 1 under way): operation "a": QuotaExceeded: the quota of 20 machines is used up`}},
		"rolled back": {"onFailure: Rollback\n" + ops(server("a", "")), func(s *stage) { s.see("a/0", stalled(1)).at(1).see("a/0", gone).at(2) },
			verdict{fault.Terminal, v1alpha1.ReasonRolledBack, `operation "a": QuotaExceeded: the quota of 20 machines is used up; what this run had made is gone again`}},
		"left over": {"onFailure: Rollback\n" + ops(server("a", "")), func(s *stage) { s.see("a/0", stalled(1)).at(1).see("a/0", denied).at(2) },
			verdict{fault.Terminal, v1alpha1.ReasonFailed, `operation "a": QuotaExceeded: the quota of 20 machines is used up; undoing failed, see status.leftovers`}},
	}
	for name, c := range cases {
		s := newStage(t, c.spec)
		c.play(s)
		err := Verdict(s.w, s.l, 7*time.Second)
		got := verdict{fault.ClassOf(err), fault.ReasonOf(err), err.Error()}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if got.class == fault.Wait && fault.AfterOf(err) != 7*time.Second {
			t.Errorf("%s: looks again after %s", name, fault.AfterOf(err))
		}
	}
	s := newStage(t, ops(server("a", "")))
	if s.see("a/0", ready).at(time.Minute); Verdict(s.w, s.l, 0) != nil {
		t.Error("a success has a fault")
	}
	if run := Summarise(s.w, s.l, s.sights).Run; run.Duration != "1m0s" || run.FinishedAt == nil {
		t.Errorf("the run reads %+v", run)
	}
}

// TestRootCause: who failed by itself is told, not who was ended because of it, and not who is declared first.
func TestRootCause(t *testing.T) {
	quota := func(words string) Sight {
		s := stalled(1)
		s.Message = words
		return s
	}
	cases := map[string]struct {
		why  string
		spec string
		play func(s *stage)
		want string
	}{
		"first in time": {"what runs on may fail later", ops(server("a", ""), server("b", "")), func(s *stage) {
			s.see("b/0", quota("first")).at(time.Second).see("a/0", quota("second")).at(2 * time.Second)
		}, `operation "b": QuotaExceeded: first`},
		"not between two attempts": {"a would have tried again", ops(server("a", ", retry: {limit: 3}"), server("b", "")), func(s *stage) {
			s.see("a/0", quota("once")).at(time.Second).see("b/0", quota("for good")).at(2 * time.Second)
		}, `operation "b": QuotaExceeded: for good`},
		"also while it is undone": {"undoing replaces the times", "onFailure: Rollback\n" + ops(server("a", ", retry: {limit: 3}"), server("b", "")), func(s *stage) {
			s.see("a/0", quota("once")).at(time.Second).see("b/0", quota("for good")).at(2*time.Second).see("a/0", gone).see("b/0", gone).at(3 * time.Second)
		}, `operation "b": QuotaExceeded: for good`},
		"not the clock": {"the time was up because b failed and a did not end", "timeout: 60s\n" + ops(server("a", ""), server("b", "")), func(s *stage) {
			s.see("a/0", going).see("b/0", quota("for good")).at(time.Second).at(time.Hour)
		}, `operation "b": QuotaExceeded: for good`},
		"the clock alone": {"", "timeout: 60s\n" + ops(server("a", "")), func(s *stage) { s.see("a/0", going).at(0).at(time.Hour) },
			`done: TimedOut: the workflow did not end within 1m0s; running: a`},
	}
	for name, c := range cases {
		s := newStage(t, c.spec)
		c.play(s)
		if err := Verdict(s.w, s.l, 0); s.l.Phase == saga.RunRunning || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s (%s): %s\n%v, want %s", name, c.why, s.phases(), err, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	for n, want := range map[int]time.Duration{1: time.Second, 250: time.Second, 1000: 4 * time.Second} {
		w := &Workflow{ops: make([]operation, n)}
		if got := w.Pace(); got != want {
			t.Errorf("%d operations: a summary stands for %s, want %s: the API server reads all of them for each write", n, got, want)
		}
	}
}
