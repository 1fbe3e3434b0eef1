package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/saga"
)

// page draws lines for a terminal of that width, and none may be wider.
func page(t *testing.T, lines []Line, width int) string {
	t.Helper()
	text := ""
	for _, l := range lines {
		row := l.Draw(0, false)
		if width > 0 && len([]rune(row)) > width {
			t.Errorf("a row of %d columns for a width of %d: %q", len([]rune(row)), width, row)
		}
		text += row + "\n"
	}
	return text
}

func TestRecipePage(t *testing.T) {
	all, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	r, err := all.Get("etcd")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "recipe", page(t, Recipe(r, 80), 80))
	for _, name := range all.Names() { // each recipe has a page
		r, err := all.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ParametersOf(r) {
			if p.Type == "" || p.Description == "" {
				t.Errorf("%s: parameter %s is not explained: %+v", name, p.Name, p)
			}
		}
		if text := page(t, Recipe(r, 0), 0); !strings.Contains(text, r.Versions.Default) {
			t.Errorf("%s: the default version is not told", name)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, name := range []string{"failed", "retrying", "undoing", "succeeded", "new"} {
		s := scenes(t)[name]
		s.Workflow.Namespace = "team-a"
		if name == "failed" {
			s.Services[0].Status.Phase = v1alpha1.TaskServiceFailed
			s.Services[0].Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: "ScriptFailed", Message: rootCause}}
			s.Services[0].Status.Servers = []v1alpha1.ServiceOnServer{{Name: "demo-servers-0-x1y2z3", Phase: v1alpha1.ServiceFailed, Message: "apply ended with code 1: etcd: this build is broken on purpose"}, {Name: "demo-servers-1-x1y2z3", Phase: v1alpha1.ServiceReady}}
		}
		t.Run(name, func(t *testing.T) { golden(t, "describe-"+name, page(t, s.Describe(clock, 100), 0)) })
	}
}

// TestDescribeShowsTheMachinesLastWords follows a check down to what the script printed, and tells instances that say the same once.
func TestDescribeShowsTheMachinesLastWords(t *testing.T) {
	s := scene(t, v1alpha1.WorkflowFailed, "3/5", madeServers()...)
	code := int32(3)
	for i := range 3 {
		name := fmt.Sprint("demo-check-", i)
		s.Workflow.Status.Operations = append(s.Workflow.Status.Operations, v1alpha1.OperationStatus{Name: "check", Key: fmt.Sprint(i), Phase: "Failed", Attempt: 1,
			Reason: "ScriptFailed", Message: "the script ended with code 3", ChildRef: &v1alpha1.ChildRef{Kind: "Run", Name: name}})
		r := v1alpha1.Run{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.RunSpec{Target: &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: "demo-servers-0-x1y2z3"}}}}
		r.Status = v1alpha1.RunStatus{Phase: v1alpha1.RunFailed, ExitCode: &code, Tail: strings.Repeat("a line\n", 20) + "the \x1b[31mdisk\x07 is full\n"}
		s.Runs = append(s.Runs, r)
	}
	golden(t, "describe-check", page(t, s.Describe(clock, 100), 100))
}

// TestLiveFitsTheScreen: what does not fit is left out from what matters least, and the rest is counted.
func TestLiveFitsTheScreen(t *testing.T) {
	s := scenes(t)["installing"]
	s.Ledger = ledger(t)
	for _, height := range []int{0, 30, 8, 4, 2, 1} {
		lines := s.Live(clock, 100, height)
		if height > 0 && len(lines) > height {
			t.Errorf("%d lines for a height of %d", len(lines), height)
		}
		golden(t, fmt.Sprintf("live-%d", height), page(t, lines, 0))
	}
}

func TestBar(t *testing.T) {
	cases := map[string]struct {
		reason           string
		done, all, width int
		want             string
	}{
		"nothing":  {"an empty one shows where it ends", 0, 8, 4, "····"},
		"all":      {"a full one is full", 8, 8, 4, "████"},
		"half":     {"half of it", 4, 8, 4, "██··"},
		"eighth":   {"the smallest share shows", 1, 32, 4, "▏···"},
		"too much": {"more than all is all", 9, 8, 4, "████"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := bar(tc.done, tc.all, tc.width, Green).Draw(0, false); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestFaultsAndFindings(t *testing.T) {
	text := page(t, Faults([]manifest.Fault{
		{File: "a.yaml", Line: 3, Field: "spec.x", Message: "is missing"}, {File: "b.yaml", Message: "it is empty"}, {File: "b.yaml", Line: 7, Message: "a key stands there twice"},
	}), 0)
	text += "\n" + page(t, Faults([]manifest.Fault{{File: "a.yaml", Line: 3, Message: "no"}}), 0)
	text += "\n" + page(t, Findings([]Finding{
		{"cluster", FindingGood, "Kubernetes v1.37.2", ""}, {"permissions", FindingDoubtful, "you may not: " + strings.Repeat("get something, ", 12), "ask somebody"},
		{"provider up", FindingBad, "Unauthenticated: the token is refused", "renew it"},
	}, 80), 80)
	golden(t, "faults", text)
}

func TestInstances(t *testing.T) {
	l, w := ledger(t), example(t)
	var out strings.Builder
	n, err := WriteInstances(&out, l, Instances(w, l, Choice{}), clock, true, true)
	if err != nil || n != l.N() {
		t.Fatalf("%d of %d: %v", n, l.N(), err)
	}
	if _, err := WriteInstances(&out, l, Instances(w, l, Choice{Phases: map[string]bool{"Failed": true}}), clock, false, false); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteInstances(&out, l, Instances(w, l, Choice{Operations: map[string]bool{"check": true}}), clock, false, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "instances", out.String())
}

// TestInstancesOfALargeLedger: 100,000 instances are written without being kept; the time is told, not judged.
func TestInstancesOfALargeLedger(t *testing.T) {
	l, err := saga.New(1, 0, saga.Hash{}, 1, []saga.Op{{Name: "servers", Type: "ServerBatch", Count: 100_000}})
	if err != nil {
		t.Fatal(err)
	}
	w := &v1alpha1.BatchWorkflow{}
	var count lines
	begun := time.Now()
	n, err := WriteInstances(&count, l, Instances(w, l, Choice{}), clock, false, true)
	if err != nil || n != 100_000 || count != 100_001 {
		t.Fatalf("%d instances, %d lines: %v", n, count, err)
	}
	t.Logf("%s", time.Since(begun))
}

// lines counts what is written.
type lines int

func (n *lines) Write(p []byte) (int, error) {
	*n += lines(strings.Count(string(p), "\n"))
	return len(p), nil
}
