package view

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// clock is the time of every test.
var clock = time.Date(2026, 5, 4, 12, 0, 40, 0, time.UTC)

func ago(seconds int) *metav1.Time {
	t := metav1.NewTime(clock.Add(-time.Duration(seconds) * time.Second))
	return &t
}

// example is the workflow that people apply.
func example(t *testing.T) *v1alpha1.BatchWorkflow {
	t.Helper()
	text, err := os.ReadFile("../../examples/demo/workflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := &v1alpha1.BatchWorkflow{}
	if err := yaml.UnmarshalStrict(text, w); err != nil {
		t.Fatal(err)
	}
	return w
}

// scene makes a snapshot of the example: its operations as listed, and children that fit.
func scene(t *testing.T, phase v1alpha1.WorkflowPhase, progress string, ops ...v1alpha1.OperationStatus) *Snapshot {
	t.Helper()
	s := &Snapshot{Workflow: example(t)}
	s.Workflow.Status = v1alpha1.BatchWorkflowStatus{Phase: phase, Progress: progress, Run: &v1alpha1.RunInfo{StartedAt: ago(40)}, Operations: ops}
	for _, o := range ops {
		if o.ChildRef == nil {
			continue
		}
		meta := metav1.ObjectMeta{Name: o.ChildRef.Name, Labels: map[string]string{v1alpha1.LabelOperation: o.Name, v1alpha1.LabelKey: o.Key}}
		switch o.ChildRef.Kind {
		case "Server":
			s.Servers = append(s.Servers, v1alpha1.Server{ObjectMeta: meta, Status: v1alpha1.ServerStatus{
				ID: "process-" + o.Key, Access: &v1alpha1.ServerAccess{Address: "127.9.8." + o.Key},
			}})
		case "TaskService":
			s.Services = append(s.Services, v1alpha1.TaskService{ObjectMeta: meta, Spec: v1alpha1.TaskServiceSpec{Recipe: "etcd"},
				Status: v1alpha1.TaskServiceStatus{Total: 3, Version: "3.7.3"}})
		case "Run":
			s.Runs = append(s.Runs, v1alpha1.Run{ObjectMeta: meta, Status: v1alpha1.RunStatus{Phase: v1alpha1.RunSucceeded, Tail: "written\nread through http://127.9.8.2:2379\n"}})
		}
	}
	return s
}

func serverOp(key, phase string, from, to int) v1alpha1.OperationStatus {
	o := v1alpha1.OperationStatus{Name: "servers", Key: key, Phase: phase, Attempt: 1, StartedAt: ago(from),
		ChildRef: &v1alpha1.ChildRef{Kind: "Server", Name: "demo-servers-" + key + "-x1y2z3"}}
	if to > 0 {
		o.FinishedAt = ago(to)
	}
	return o
}

func madeServers() []v1alpha1.OperationStatus {
	return []v1alpha1.OperationStatus{serverOp("0", "Succeeded", 40, 38), serverOp("1", "Succeeded", 40, 38), serverOp("2", "Succeeded", 40, 37)}
}

func etcdOp(phase string, attempt int32) v1alpha1.OperationStatus {
	return v1alpha1.OperationStatus{Name: "etcd", Key: "0", Phase: phase, Attempt: attempt, StartedAt: ago(36),
		ChildRef: &v1alpha1.ChildRef{Kind: "TaskService", Name: "demo-etcd-0-a1b2c3"}}
}

func waitOp(name, limit string, ops ...v1alpha1.WaitingFor) v1alpha1.OperationStatus {
	if limit != "" {
		ops = append(ops, v1alpha1.WaitingFor{Limit: limit})
	}
	return v1alpha1.OperationStatus{Name: name, Phase: "Pending", WaitingFor: ops}
}

func hard(name, phase string) v1alpha1.WaitingFor {
	return v1alpha1.WaitingFor{Operation: name, Type: v1alpha1.EdgeHard, Phase: phase}
}

const rootCause = `server demo-servers-0-x1y2z3: apply ended with code 1: etcd: the downloaded etcd does not run: etcd: this build is broken on purpose`

func scenes(t *testing.T) map[string]*Snapshot {
	failedOp := etcdOp("Failed", 2)
	failedOp.FinishedAt, failedOp.Reason, failedOp.Message = ago(5), "ScriptFailed", rootCause
	retrying := failedOp
	next := metav1.NewTime(clock.Add(1500 * time.Millisecond))
	retrying.Phase, retrying.Attempt, retrying.NextAttemptAt, retrying.WaitingFor = "Retrying", 1, &next, []v1alpha1.WaitingFor{{Limit: "retry.backoff"}}
	installing := scene(t, v1alpha1.WorkflowRunning, "3/5", append(madeServers(), etcdOp("Running", 1), waitOp("check", "", hard("etcd", "Running")))...)
	installing.Services[0].Status.Ready = 1
	installing.Services[0].Status.Servers = []v1alpha1.ServiceOnServer{
		{Name: "demo-servers-0-x1y2z3", Phase: v1alpha1.ServiceReady, Version: "3.7.3"},
		{Name: "demo-servers-1-x1y2z3", Phase: v1alpha1.ServiceApplying},
		{Name: "demo-servers-2-x1y2z3", Phase: v1alpha1.ServicePending, Message: "etcd runs and is not healthy yet: \x1b[31mcontext deadline exceeded\nsecond line"},
	}
	doneEtcd, doneCheck := etcdOp("Succeeded", 1), v1alpha1.OperationStatus{Name: "check", Key: "0", Phase: "Succeeded", Attempt: 2,
		StartedAt: ago(5), FinishedAt: ago(3), ChildRef: &v1alpha1.ChildRef{Kind: "Run", Name: "demo-check-0-q1w2e3"}}
	doneEtcd.FinishedAt = ago(5)
	succeeded := scene(t, v1alpha1.WorkflowSucceeded, "5/5", append(madeServers(), doneEtcd, doneCheck)...)
	succeeded.Workflow.Status.Run.FinishedAt = ago(3)
	succeeded.Services[0].Status.Ready = 3
	refused := &Snapshot{Workflow: example(t)}
	refused.Workflow.Status.Conditions = []metav1.Condition{{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: "Cycle", Message: "etcd → check → etcd"}}
	return map[string]*Snapshot{
		"new":     {Workflow: example(t)},
		"gone":    {},
		"refused": refused,
		"servers": scene(t, v1alpha1.WorkflowRunning, "1/5", serverOp("0", "Succeeded", 3, 1), serverOp("1", "Running", 3, 0),
			waitOp("servers", "parallelLimit: 2"), waitOp("etcd", "", hard("servers", "Running")), waitOp("check", "", hard("etcd", "Pending"))),
		"installing": installing,
		"retrying":   scene(t, v1alpha1.WorkflowRunning, "3/5", append(madeServers(), retrying, waitOp("check", "", hard("etcd", "Running")))...),
		"failed":     scene(t, v1alpha1.WorkflowFailed, "3/5", append(madeServers(), failedOp, v1alpha1.OperationStatus{Name: "check", Key: "0", Phase: "Omitted"})...),
		"undoing": scene(t, v1alpha1.WorkflowUndoing, "0/5", serverOp("0", "Undone", 40, 1), serverOp("1", "Undoing", 40, 38), serverOp("2", "UndoFailed", 40, 1),
			v1alpha1.OperationStatus{Name: "etcd", Key: "0", Phase: "Undone", Attempt: 2, StartedAt: ago(36), FinishedAt: ago(4), Reason: "ScriptFailed", Message: rootCause},
			v1alpha1.OperationStatus{Name: "check", Key: "0", Phase: "Omitted"}),
		"succeeded": succeeded,
	}
}

// TestPicture compares each scene at three sizes with what somebody has looked at and found right.
func TestPicture(t *testing.T) {
	for name, s := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, width := range []int{80, 160} {
				for _, l := range s.Picture(clock, width) {
					row := l.Draw(width, false)
					if len([]rune(row)) > width {
						t.Errorf("a row of %d columns for a width of %d: %q", len([]rune(row)), width, row)
					}
					got.WriteString(row + "\n")
				}
				got.WriteString("\n")
			}
			golden(t, name, got.String())
		})
	}
}

func TestPictureInColour(t *testing.T) {
	var got strings.Builder
	for _, l := range scenes(t)["installing"].Picture(clock, 80) {
		got.WriteString(strings.ReplaceAll(l.Draw(80, true), "\x1b", "ESC") + "\n")
	}
	golden(t, "installing-colour", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; accept with -update):\n%s", path, diff)
	}
}
