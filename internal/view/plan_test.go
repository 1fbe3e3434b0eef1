package view

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/plan"
)

// preview has one of everything that a plan can say.
var preview = &plan.Preview{
	Workflow: "shop", Run: 2, Hash: "3f0c6d2f5f0a4d1c9e2b7a8d6c5b4a39",
	Cost: plan.CostChange{Hourly: map[string]string{"EUR": "0.0357"}, Unknown: 2},
	Operations: []plan.PreviewOperation{
		{Name: "servers", Type: "ServerBatch", Kind: "Server", Wave: 1, Parts: []plan.PreviewPart{
			{Do: plan.DeedNone, Keys: plan.Keys{Count: 3, Ranges: [][2]int{{0, 2}}}},
			{Do: plan.DeedCreate, Keys: plan.Keys{Count: 2, Ranges: [][2]int{{3, 4}}}, Shape: "2xCPU-4GB debian-12 in fi-hel1 from upcloud",
				Cost: plan.CostChange{Hourly: map[string]string{"EUR": "0.0357"}}},
		}},
		{Name: "db", Type: "ServerBatch", Kind: "Server", Wave: 1, Parts: []plan.PreviewPart{
			{Do: plan.DeedReplace, Keys: plan.Keys{Count: 1, Names: []string{"a"}}, Shape: "from upcloud", Irreversible: "what is on the machine goes with it",
				Fields: []plan.FieldChange{{Field: "zone", Old: "fi-hel1", New: "de-fra1", Replaces: true}, {Field: "labels.role", New: "db"}}, Cost: plan.CostChange{Unknown: 1}},
			{Do: plan.DeedAdopt, Keys: plan.Keys{Count: 1, Names: []string{"b"}}, Shape: "from upcloud"},
		}},
		{Name: "services", Type: "TaskServiceBatch", Kind: "TaskService", Wave: 2, After: []string{"servers"}, When: true, Parts: []plan.PreviewPart{
			{Do: plan.DeedUpdate, Keys: plan.Keys{Count: 1, Names: []string{"etcd"}}, Shape: "etcd 3.6 on 5 servers", Why: `done again because its server is made anew by "servers"`, Unknown: []string{"${operations.servers.outputs.addresses}"},
				Fields: []plan.FieldChange{{Field: "parameters.peers", Old: "10.0.0.1", New: plan.KnownAfterApply}, {Field: "version", Old: "3.5"}}},
		}},
		{Name: "go-live", Type: "Approval", Wave: 3, Parts: []plan.PreviewPart{{Do: plan.DeedCreate, Keys: plan.Keys{Count: 1, Ranges: [][2]int{{0, 0}}}, Shape: "waits for approval: go on?"}}},
		{Name: "seed", Type: "Command", Kind: "Run", Wave: 4, Parts: []plan.PreviewPart{
			{Do: plan.DeedCreate, Keys: plan.Keys{Count: 1, Ranges: [][2]int{{0, 0}}}, Shape: "runs etcdctl put greeting hello", Irreversible: "what the script does stays done: it has no undo",
				Problem: "Run shop-seed-0 exists and is not this workflow's"},
		}},
		{Name: "old", Kind: "Server", Wave: 5, Parts: []plan.PreviewPart{{Do: plan.DeedDelete, Keys: plan.Keys{Count: 1, Names: []string{"x"}}, Irreversible: "what is deleted does not come back"}}},
		{Name: "older", Kind: "Server", Wave: 5, Parts: []plan.PreviewPart{{Do: plan.DeedLeave, Keys: plan.Keys{Count: 2, Names: []string{"x", "y"}}}}},
	},
}

const wantPlan = `
shop  run 2  +3 ~1 -1 ∓1 ←1
cost +0.0357 EUR/h, +26.06 EUR/month; 2 Servers of unknown cost
cannot be undone: db, seed, old
plan 3f0c6d2f5f0a4d1c9e2b7a8d6c5b4a39
wave 1
├ · servers       3 Servers (0–2) as it is
│ +               2 Servers (3–4): 2xCPU-4GB debian-12 in fi-hel1 from upcloud  [+0.0357 EUR/h, +26.06 EUR/month]
└ ∓ db            1 Server (a): from upcloud  [1 Server of unknown cost]
      zone         fi-hel1 → de-fra1  forces replacement
      labels.role  + db
      cannot be undone: what is on the machine goes with it
  ←               1 Server (b): from upcloud, which stands without an owner
wave 2
└ ~ services      1 TaskService (etcd): etcd 3.6 on 5 servers
      parameters.peers  10.0.0.1 → (known after apply)
      version           - 3.5
      done again because its server is made anew by "servers"
      known after apply: ${operations.servers.outputs.addresses}; it may turn out that nothing is left to do
      only if its condition is true, which is known after apply
wave 3
└ ▸ go-live       Approval: waits for approval: go on?
wave 4
└ + seed          1 Run (0): runs etcdctl put greeting hello
      will fail: Run shop-seed-0 exists and is not this workflow's
      cannot be undone: what the script does stays done: it has no undo
no longer in the workflow
├ - old           1 Server (x)
│     cannot be undone: what is deleted does not come back
└ ○ older         2 Servers (x, y) stay: nobody asks for them, and prune is not set
`

// TestPlan: a plan as a tree with its waves.
func TestPlan(t *testing.T) {
	var rows []string
	for _, line := range Plan(preview) {
		rows = append(rows, line.Draw(0, false))
	}
	if diff := cmp.Diff(strings.Split(strings.Trim(wantPlan, "\n"), "\n"), rows); diff != "" {
		t.Error(diff)
	}
	same := &plan.Preview{Workflow: "shop", Run: 2, Operations: slices.Clone(preview.Operations[:1])}
	same.Operations[0].Parts = same.Operations[0].Parts[:1]
	if text := Plan(same)[2].Draw(0, false); text != "nothing to do: everything is as it is wanted" {
		t.Errorf("of a plan without changes: %q", text)
	}
}

// TestPlanStaysInItsRows: what people wrote cannot speak to the terminal.
func TestPlanStaysInItsRows(t *testing.T) {
	p := &plan.Preview{Workflow: "w", Operations: []plan.PreviewOperation{{Name: "a", Type: "Command", Kind: "Run", Wave: 1, Parts: []plan.PreviewPart{
		{Do: plan.DeedCreate, Keys: plan.Keys{Count: 1}, Shape: "runs echo \x1b[31mred\nrm -rf /"}}}}}
	for _, line := range Plan(p) {
		if text := line.Draw(80, false); strings.ContainsAny(text, "\x1b\n") || len([]rune(text)) > 80 {
			t.Errorf("%q", text)
		}
	}
}
