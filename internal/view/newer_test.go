package view

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// published is a workflow of the examples.
func published(t *testing.T, name string) *v1alpha1.BatchWorkflow {
	t.Helper()
	text, err := os.ReadFile("../../examples/batchworkflow/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := &v1alpha1.BatchWorkflow{}
	if err := yaml.UnmarshalStrict(text, w); err != nil {
		t.Fatal(err)
	}
	return w
}

func graphText(t *testing.T, w *v1alpha1.BatchWorkflow, l *saga.Ledger) (text string) {
	t.Helper()
	g, err := GraphOf(w, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range g.Text() {
		text += line.Draw(0, false) + "\n"
	}
	return text
}

// TestGraphOfEveryKindOfOperation: how many servers are found out by the run, what a switch switches to, conditions, approvals.
func TestGraphOfEveryKindOfOperation(t *testing.T) {
	text := ""
	for _, name := range []string{"survey", "power", "conditions", "approval"} {
		text += name + "\n" + graphText(t, published(t, name), nil) + "\n"
	}
	l, err := saga.New(1, clock.Unix()-40, saga.Hash{}, 1, []saga.Op{{Name: "staging", Count: 1}, {Name: "go-live", Count: 1}, {Name: "production", Keys: []string{saga.KeyOpen}}, {Name: "announce", Count: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{l.Order(0, clock.Unix()-38), l.Settle(0, saga.Succeeded, clock.Unix()-30, "", "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l.Starts[1] = 20 // it has begun to wait for its approval
	text += "run\n" + graphText(t, published(t, "approval"), l)
	golden(t, "graph-newer", text)
}

// TestOpsOfAnApprovalAndASwitch: what awaits an approval says so, and a switch names the server that it switches.
func TestOpsOfAnApprovalAndASwitch(t *testing.T) {
	l, err := saga.New(1, clock.Unix()-40, saga.Hash{}, 1, []saga.Op{{Name: "shut-down", Count: 1}, {Name: "go-live", Count: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Order(0, clock.Unix()-38); err != nil {
		t.Fatal(err)
	}
	l.Starts[1] = 20
	w := published(t, "power")
	w.Spec.Operations = append(w.Spec.Operations, v1alpha1.Operation{Name: "go-live", Approval: &v1alpha1.Approval{}})
	var got []string
	for one := range Instances(w, l, Choice{}) {
		child := ""
		if one.Child != nil {
			child = one.Child.Kind + "/" + one.Child.Name
		}
		got = append(got, one.Operation+" "+one.Phase+" "+child)
	}
	want := []string{"shut-down Running Server/" + v1alpha1.ChildName("power", "servers", "golden"), "go-live AwaitingApproval "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTreeOfAnApproval: the question stands where it is asked, and who answered it where it was.
func TestTreeOfAnApproval(t *testing.T) {
	cases := map[string]struct {
		reason string
		status v1alpha1.OperationStatus
		want   string
	}{
		"asked":    {"its words", v1alpha1.OperationStatus{Phase: PhaseAwaiting, WaitingFor: []v1alpha1.WaitingFor{{Limit: "approval"}}}, "awaits approval: staging works; make three servers for production?"},
		"answered": {"by whom", v1alpha1.OperationStatus{Phase: "Succeeded", Attempt: 1, ApprovedBy: "jane"}, "approved by jane"},
		"refused":  {"nobody's name", v1alpha1.OperationStatus{Phase: "Cancelled", Reason: "Cancelled"}, "cancelled"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &Snapshot{Workflow: published(t, "approval")}
			if got, _ := s.says(&s.Workflow.Spec.Operations[1], &tc.status, markOf(tc.status.Phase)); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestOperationsThatAStatusDoesNotList are counted by the ledger: 64 instances is all that a status holds.
func TestOperationsThatAStatusDoesNotList(t *testing.T) {
	s := scene(t, v1alpha1.WorkflowRunning, "3/5")
	s.Ledger = ledger(t)
	var got []string
	for _, r := range s.rows() {
		got = append(got, fmt.Sprint(r.name, " ", string(r.mark.Still().text), " ", r.text))
	}
	want := []string{"servers … 1 of 3 running, 2 of 3 succeeded", "etcd ✘ failed", "check ○ pending"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDescribeOfWhatStrives: a service that fails on a server and is tried again there is a cause already, before its attempt is over.
func TestDescribeOfWhatStrives(t *testing.T) {
	s := scene(t, v1alpha1.WorkflowRunning, "3/5", append(madeServers(), etcdOp("Running", 1))...)
	next := metav1.NewTime(clock.Add(9 * time.Second))
	s.Services[0].Status.Phase = v1alpha1.TaskServiceInstalling
	s.Services[0].Status.Servers = []v1alpha1.ServiceOnServer{
		{Name: "demo-servers-0-x1y2z3", Phase: v1alpha1.ServicePending, Try: 4, NextTry: &next, Reason: "DownloadFailed", Message: "apply ended with code 12: curl: (6) Could not resolve host"},
		{Name: "demo-servers-1-x1y2z3", Phase: v1alpha1.ServiceApplying}, {Name: "demo-servers-2-x1y2z3", Phase: v1alpha1.ServicePending},
	}
	golden(t, "describe-strives", page(t, s.Describe(clock, 100), 100))
	if a := s.Account(); len(a.Why) != 1 || len(a.Why[0].Objects) != 2 {
		t.Errorf("as data it is the same story: %+v", a.Why)
	}
}

// TestLeftoversTellWhatTheyCost: what an undo could not take away is told with provider, id and cost.
func TestLeftoversTellWhatTheyCost(t *testing.T) {
	s := scene(t, v1alpha1.WorkflowRollbackFailed, "0/5", madeServers()...)
	s.Workflow.Status.Leftovers = []v1alpha1.Leftover{
		{Operation: "servers", Key: "0", ChildRef: &v1alpha1.ChildRef{Kind: "Server", Name: "demo-servers-0-x1y2z3"}, Provider: "upcloud", ID: "00c0ffee", CostPerHour: "0.04 EUR", Message: "deletionProtection"},
		{Operation: "etcd", Message: "its server does not answer"},
	}
	text := page(t, s.Describe(clock, 0), 0)
	for _, want := range []string{
		"Left over", "  servers/0 (Server demo-servers-0-x1y2z3), machine 00c0ffee at upcloud, costs 0.04 EUR an hour: deletionProtection", "  etcd: its server does not answer",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("it does not tell %q:\n%s", want, text)
		}
	}
}

// TestJournalLetsChatterWait: what something says while it goes on is told once a beat, and a transition at once.
func TestJournalLetsChatterWait(t *testing.T) {
	says := func(text string) *Snapshot {
		return scene(t, v1alpha1.WorkflowRunning, "3/5", v1alpha1.OperationStatus{Name: "check", Key: "0", Phase: "Running", Attempt: 1, Message: text})
	}
	ended := scene(t, v1alpha1.WorkflowRunning, "3/5", v1alpha1.OperationStatus{Name: "check", Key: "0", Phase: "Failed", Attempt: 1, Reason: "X", Message: "no"})
	got := told(NewJournal(clock), 4*time.Second, says("a"), says("b"), says("c"), says("d"), says("e"), ended)
	want := []string{
		"     0 s  check               … running: a", "     0 s  demo  Running  40 s  3 of 5 done",
		"    12 s  check               … running: d", "    20 s  check               ✘ failed, attempt 1 of 3: X: no",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
