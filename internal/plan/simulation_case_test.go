package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keelway/keelway/api/v1alpha1"
)

// maker makes random workflows.
type maker struct {
	rng *rand.Rand
	ops []v1alpha1.Operation
}

func (m *maker) chance(percent int) bool { return m.rng.IntN(100) < percent }

func (m *maker) between(low, high time.Duration) time.Duration {
	return low + time.Duration(m.rng.Int64N(int64(high-low)+1)).Round(50*time.Millisecond)
}

// randomWorkflow makes a chain, fan, layers, diamonds or any graph.
func randomWorkflow(rng *rand.Rand) *v1alpha1.BatchWorkflow {
	m := &maker{rng: rng}
	n := 1 + rng.IntN(5)
	switch {
	case m.chance(3):
		n = 12 + rng.IntN(19)
	case m.chance(15):
		n = 4 + rng.IntN(8)
	}
	shape := rng.IntN(5)
	for k := range n {
		m.ops = append(m.ops, v1alpha1.Operation{Name: fmt.Sprintf("op%d", k)})
		m.edges(shape, k)
		m.fill(k)
		m.limits(k)
		m.condition(k)
	}
	m.widen()
	if m.chance(30) {
		rng.Shuffle(n, func(i, j int) { m.ops[i], m.ops[j] = m.ops[j], m.ops[i] })
	}
	flow := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "wf", UID: "wf", Generation: 1, Annotations: map[string]string{}}}
	flow.Spec = v1alpha1.BatchWorkflowSpec{ParallelLimit: int32(1 + rng.IntN(n+2)), OnFailure: m.policy(), Operations: m.ops, Suspend: m.chance(5)}
	if m.chance(15) {
		flow.Spec.Timeout = &metav1.Duration{Duration: m.between(time.Second, time.Minute).Round(time.Second)}
	}
	if m.chance(30) {
		flow.Spec.Undo = m.undo()
	}
	if m.chance(10) {
		flow.Spec.TTLAfterFinished = &metav1.Duration{Duration: m.between(0, 30*time.Second)}
	}
	switch {
	case m.chance(15):
		flow.Spec.Mode = v1alpha1.ModeApplyAfterApproval
	case m.chance(3):
		flow.Spec.Mode = v1alpha1.ModePlan
	}
	if m.chance(15) {
		flow.Annotations["approver"] = "none"
	}
	for _, op := range m.ops {
		if op.Wait != nil && op.Wait.Duration.Duration%time.Second != 0 || op.Check != nil && op.Check.Condition != "" { // over at the next look
			flow.Annotations["short-waits"] = "yes"
		}
	}
	return flow
}

// widen makes edges join all instances where these are not one a server.
func (m *maker) widen() {
	wide := map[string]bool{}
	for _, op := range m.ops {
		wide[op.Name] = op.TaskServiceBatch != nil && (op.TaskServiceBatch.ForEach == nil || len(op.TaskServiceBatch.Recipes) > 1)
	}
	for _, op := range m.ops {
		for n := range op.DependsOn {
			if wide[op.Name] || wide[op.DependsOn[n].Operation] {
				op.DependsOn[n].Match = v1alpha1.MatchAll
			}
		}
	}
}

func (m *maker) policy() v1alpha1.FailurePolicy {
	switch {
	case m.chance(50):
		return v1alpha1.FailureRollback
	case m.chance(30):
		return v1alpha1.FailureContinue
	case m.chance(30):
		return v1alpha1.FailureIgnore
	}
	return v1alpha1.FailureFail
}

func (m *maker) undo() *v1alpha1.UndoPolicy {
	policy := &v1alpha1.UndoPolicy{}
	if m.chance(60) {
		policy.Retry = &v1alpha1.RetryPolicy{Limit: int32(1 + m.rng.IntN(3)), Backoff: v1alpha1.Backoff{Duration: &metav1.Duration{Duration: m.between(0, 2*time.Second)}}}
	}
	if m.chance(30) {
		policy.Timeout = &metav1.Duration{Duration: m.between(time.Second, 8*time.Second).Round(time.Second)}
	}
	return policy
}

// condition makes what an operation does depend on how another one ended.
func (m *maker) condition(k int) {
	op := &m.ops[k]
	if len(op.DependsOn) == 0 || !m.chance(8) {
		return
	}
	on := op.DependsOn[m.rng.IntN(len(op.DependsOn))]
	if on.Match == v1alpha1.MatchSameIndex || on.Operation == "absent" {
		return
	}
	op.When = []string{
		`operations.` + on.Operation + `.phase == "Succeeded"`, `operations.` + on.Operation + `.failed > 0`,
		`operations.` + on.Operation + `.outputs.token.size() > 1000`, // fails where there is none
	}[m.rng.IntN(3)]
}

// edges adds what operation k depends on, among those before it.
func (m *maker) edges(shape, k int) {
	add := func(from int) {
		edge := v1alpha1.EdgeHard
		switch {
		case m.chance(20):
			edge = v1alpha1.EdgeSoft
		case m.chance(6):
			edge = v1alpha1.EdgeOptional
		}
		m.depend(k, from, edge)
		if deps := m.ops[k].DependsOn; m.chance(20) {
			deps[len(deps)-1].Match = v1alpha1.MatchSameIndex
		}
	}
	if m.chance(3) {
		m.ops[k].DependsOn = append(m.ops[k].DependsOn, v1alpha1.Dependency{Operation: "absent", Type: v1alpha1.EdgeOptional})
	}
	switch {
	case k == 0:
	case shape == 0: // chain
		add(k - 1)
	case shape == 1: // fan
		add(0)
	case shape == 2: // layers of three
		for from := max(0, k/3*3-3); from < k/3*3; from++ {
			add(from)
		}
	case shape == 3: // diamonds: one, two, one, two, …
		switch k % 3 {
		case 0:
			add(k - 1)
			add(k - 2 + 0)
		case 1:
			add(k - 1)
		case 2:
			add(k - 2)
		}
	default:
		for from := range k {
			if m.chance(30) && len(m.ops[k].DependsOn) < 8 {
				add(from)
			}
		}
	}
}

// depend adds an edge, or makes the one that is there hard.
func (m *maker) depend(k, from int, edge v1alpha1.EdgeType) {
	deps := m.ops[k].DependsOn
	if n := slices.IndexFunc(deps, func(d v1alpha1.Dependency) bool { return d.Operation == m.ops[from].Name }); n >= 0 {
		if edge == v1alpha1.EdgeHard {
			deps[n].Type, deps[n].Match = edge, v1alpha1.MatchAll
		}
		return
	}
	m.ops[k].DependsOn = append(deps, v1alpha1.Dependency{Operation: m.ops[from].Name, Type: edge})
}

// servers picks an earlier ServerBatch and depends on it; -1: there is none.
func (m *maker) servers(k int) int {
	var batches []int
	for n := range k {
		if m.ops[n].ServerBatch != nil {
			batches = append(batches, n)
		}
	}
	if len(batches) == 0 {
		return -1
	}
	from := batches[m.rng.IntN(len(batches))]
	m.depend(k, from, v1alpha1.EdgeHard)
	return from
}

func (m *maker) target(k int) v1alpha1.OperationTarget {
	from := m.servers(k)
	if from < 0 || m.chance(10) {
		return v1alpha1.OperationTarget{Server: "made-elsewhere"}
	}
	target := v1alpha1.OperationTarget{Operation: m.ops[from].Name}
	if batch := m.ops[from].ServerBatch; m.chance(20) {
		target.Key = "0"
		switch {
		case batch.ForEach != nil:
			target.Key = batch.ForEach[0].Key
		case batch.ForEachFrom != "": // which may be there, or not
			target.Key = "a"
		}
	}
	return target
}

// fill makes it an operation of some type.
func (m *maker) fill(k int) {
	op := &m.ops[k]
	switch kind := m.rng.IntN(10); {
	case kind < 4:
		op.Type, op.ServerBatch = v1alpha1.OperationServerBatch, &v1alpha1.ServerBatch{}
		if m.chance(30) && m.lists(k) {
			break
		}
		if n := int32(1 + m.rng.IntN(3)); m.chance(50) {
			op.ServerBatch.Count = &n
			break
		}
		for _, key := range []string{"a", "b", "c"}[:1+m.rng.IntN(3)] {
			op.ServerBatch.ForEach = append(op.ServerBatch.ForEach, v1alpha1.ServerItem{Key: key, Size: "size-" + key})
		}
	case kind < 6:
		op.Type, op.TaskServiceBatch = v1alpha1.OperationTaskServiceBatch, &v1alpha1.TaskServiceBatch{Targets: m.target(k)}
		for _, name := range []string{"etcd", "containerd"}[:1+m.rng.IntN(2)] {
			choice := v1alpha1.RecipeChoice{Name: name}
			if from, ref := m.reference(k); from != "" {
				choice.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: fmt.Appendf(nil, `{%q: %q}`, from, ref)}}
			}
			op.TaskServiceBatch.Recipes = append(op.TaskServiceBatch.Recipes, choice)
		}
		if target := op.TaskServiceBatch.Targets; target.Operation != "" && target.Key == "" && m.chance(40) {
			op.TaskServiceBatch.Targets, op.TaskServiceBatch.ForEach = v1alpha1.OperationTarget{}, &v1alpha1.EachServer{Operation: target.Operation}
		}
	case kind < 7:
		op.Type, op.Check = v1alpha1.OperationCheck, &v1alpha1.Check{TCP: &v1alpha1.TCPProbe{Address: "127.0.0.1:1"}}
		switch {
		case m.chance(50):
			target := m.target(k)
			op.Check.Target = &target
		case m.chance(40) && k > 0:
			m.depend(k, k-1, v1alpha1.EdgeSoft)
			for n := range m.ops[k].DependsOn {
				m.ops[k].DependsOn[n].Match = v1alpha1.MatchAll
			}
			name := m.ops[k-1].Name
			op.Check = &v1alpha1.Check{Condition: []string{
				`operations.` + name + `.failed == 0`, `children.` + name + `.all(key, children.` + name + `[key].ready)`,
			}[m.rng.IntN(2)]}
		}
	case kind < 8:
		op.Type, op.Command = v1alpha1.OperationCommand, &v1alpha1.Command{CommandScript: m.script(k), Target: m.target(k)}
	case kind < 9:
		target := m.target(k)
		script := m.script(k)
		op.Type, op.Check = v1alpha1.OperationCheck, &v1alpha1.Check{Command: &script, Target: &target}
	case m.chance(40) && m.switches(k):
	case m.chance(40):
		op.Type, op.Approval = v1alpha1.OperationApproval, &v1alpha1.Approval{}
	default:
		durations := []time.Duration{0, 0, 300 * time.Millisecond, time.Second, 3 * time.Second}
		op.Type, op.Wait = v1alpha1.OperationWait, &v1alpha1.Wait{Count: int32(1 + m.rng.IntN(3)), Duration: metav1.Duration{Duration: durations[m.rng.IntN(5)]}}
	}
}

// switches makes it an operation of type Power, where there are servers.
func (m *maker) switches(k int) bool {
	from := m.servers(k)
	if from < 0 {
		return false
	}
	for n := range k {
		if before := m.ops[n].Power; before != nil && before.Target.Operation == m.ops[from].Name {
			m.depend(k, n, []v1alpha1.EdgeType{v1alpha1.EdgeHard, v1alpha1.EdgeSoft}[m.rng.IntN(2)])
		}
	}
	m.ops[k].Type = v1alpha1.OperationPower
	m.ops[k].Power = &v1alpha1.PowerSwitch{State: []v1alpha1.Power{v1alpha1.PowerStopped, v1alpha1.PowerRunning}[m.rng.IntN(4)/3], Target: v1alpha1.OperationTarget{Operation: m.ops[from].Name}}
	return true
}

func (m *maker) script(k int) v1alpha1.CommandScript {
	script := v1alpha1.CommandScript{Script: "true"}
	if from, ref := m.reference(k); from != "" {
		script.Env = []v1alpha1.EnvVar{{Name: "FROM_" + from, Value: ref}}
	}
	return script
}

// reference refers to an output of something that k depends on.
func (m *maker) reference(k int) (name, ref string) {
	if len(m.ops[k].DependsOn) == 0 || m.chance(50) {
		return "", ""
	}
	name = m.ops[k].DependsOn[m.rng.IntN(len(m.ops[k].DependsOn))].Operation
	if name == "absent" {
		return "", ""
	}
	from := slices.IndexFunc(m.ops, func(op v1alpha1.Operation) bool { return op.Name == name })
	if m.ops[from].Power != nil || m.ops[from].Wait != nil || m.ops[from].Approval != nil || m.ops[from].Check != nil && m.ops[from].Check.Condition != "" {
		return "", ""
	}
	m.depend(k, from, v1alpha1.EdgeHard)
	return name, fmt.Sprintf("${operations.%s.outputs.%s}", name, givenBy(string(m.ops[from].Type)))
}

// givenBy is the output that the simulation refers to.
func givenBy(kind string) string {
	if kind == string(v1alpha1.OperationServerBatch) {
		return outputAddresses
	}
	return "token"
}

func (m *maker) limits(k int) {
	op := &m.ops[k]
	if op.Approval != nil {
		return
	}
	if m.chance(50) {
		op.Retry = &v1alpha1.RetryPolicy{Limit: int32(m.rng.IntN(4)), Backoff: v1alpha1.Backoff{
			Duration: &metav1.Duration{Duration: m.between(0, 2*time.Second)}, Factor: int32(m.rng.IntN(4)), MaxDuration: &metav1.Duration{Duration: 3 * time.Second},
		}}
	}
	if m.chance(30) {
		op.Timeout = &metav1.Duration{Duration: m.between(time.Second, 5*time.Second).Round(time.Second)}
	}
	if m.chance(30) {
		op.OnFailure = m.policy()
	}
	if m.chance(10) {
		op.TotalTimeout = &metav1.Duration{Duration: m.between(2*time.Second, 10*time.Second).Round(time.Second)}
	}
	if m.chance(10) {
		op.Undo = m.undo()
	}
	op.KeepOnUndo = m.chance(6)
}

// randomLeaf makes what becomes of one instance's child. bad is how likely an attempt fails, in percent.
func (m *maker) leaf(flow *v1alpha1.BatchWorkflow, op *v1alpha1.Operation, i, bad int) *leaf {
	f := &leaf{queue: m.between(0, time.Second), work: m.between(0, 3*time.Second), going: m.between(0, 2*time.Second), recovers: m.chance(5), mute: m.chance(2)}
	for len(f.results) < 4 {
		switch {
		case !m.chance(bad):
			f.results = append(f.results, ends)
			return m.way(f, i)
		case m.chance(20) && (op.Command != nil || op.Check != nil):
			f.results = append(f.results, doubts)
		case m.chance(30) && (op.Timeout != nil || flow.Spec.Timeout != nil):
			f.results = append(f.results, hangs)
		default:
			f.results = append(f.results, stalls)
		}
	}
	return m.way(f, i)
}

// way adds how it goes, and what it offers: text that would be dangerous were it more than data.
func (m *maker) way(f *leaf, i int) *leaf {
	f.stuck = m.chance(6)
	f.freed = f.stuck && m.chance(30)
	if f.stuck && m.chance(50) {
		f.yields = int32(2 + m.rng.IntN(4))
	}
	f.outputs = map[string]string{
		outputAddresses: fmt.Sprintf("10.0.0.%d", i),
		outputList:      anyList(m.rng),
		"token":         fmt.Sprintf(`%d"; $(reboot) ${operations.op0.outputs.token} %s`, i, strings.Repeat("é", m.rng.IntN(3))),
	}
	return f
}
