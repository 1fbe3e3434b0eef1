package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Change is one field of a child that is not as it is wanted. From and To are JSON; empty: it is absent.
type Change struct {
	Field, From, To string
	Forces          bool // it cannot be changed in place: another object has to be made
}

// fixed are the fields that cannot be changed once an object is made, by kind.
var fixed = map[string][]string{
	KindServer:      {"providerRef", "zone", "rootDisk", "disks", "network", "userDataFrom"},
	KindTaskService: {"recipe"},
}

// others are the fields that the API server fills in, or that people set and a workflow does not write, by kind.
var others = map[string][]string{
	KindServer:      {"power", "updatePolicy", "driftPolicy", "deletionPolicy", "deletionProtection"},
	KindTaskService: {"rollout", "health", "driftPolicy"},
	KindRun:         {"onUnknown"},
}

// Changes lists in which fields of its spec, and in which labels, a child differs from what is wanted, in order of their names. Fields
// that only what stands has are differences where the workflow writes them.
func Changes(kind string, stands, wanted Child) (out []Change) {
	have, want := flat(stands), flat(wanted)
	for _, field := range slices.Sorted(maps.Keys(merged(have, want))) {
		if bytes.Equal(have[field], want[field]) || want[field] == nil && slices.Contains(others[kind], field) {
			continue
		}
		out = append(out, Change{
			Field: "spec." + field, From: string(have[field]), To: string(want[field]),
			Forces: kind == KindRun || slices.Contains(fixed[kind], field),
		})
	}
	for _, label := range slices.Sorted(maps.Keys(wanted.GetLabels())) {
		if from, to := stands.GetLabels()[label], wanted.GetLabels()[label]; from != to {
			out = append(out, Change{Field: "metadata.labels." + label, From: from, To: to})
		}
	}
	return out
}

// flat returns the fields of a child's spec as JSON whose objects have their keys in order.
func flat(child Child) map[string]json.RawMessage {
	text, _ := json.Marshal(specOf(child)) // plain structs cannot fail
	var loose map[string]any
	_ = json.Unmarshal(text, &loose)
	out := make(map[string]json.RawMessage, len(loose))
	for field, value := range loose {
		if empty, ok := value.(map[string]any); ok && len(empty) == 0 {
			continue // as good as absent
		}
		out[field], _ = json.Marshal(value)
	}
	return out
}

func merged(a, b map[string]json.RawMessage) map[string]json.RawMessage {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// forced names the first change that cannot be made in place, or "".
func forced(stands, wanted Child) string {
	for _, change := range Changes(kindOf(wanted), stands, wanted) {
		if change.Forces {
			return fmt.Sprintf("%s is %s and %s is wanted", change.Field, orNone(change.From), orNone(change.To))
		}
	}
	return ""
}

func orNone(value string) string {
	if value == "" {
		return "not set"
	}
	return clip(value, 120)
}

func kindOf(child Child) string {
	switch child.(type) {
	case *v1alpha1.Server:
		return KindServer
	case *v1alpha1.TaskService:
		return KindTaskService
	}
	return KindRun
}

// replaces reports whether what was seen of an instance's child becomes what is wanted by making another one. A Run is never changed, it
// is done once. A Server goes only where its updatePolicy allows that and nothing protects it; elsewhere the change is tried, and
// refused by the API server in its own words.
func (w *Workflow) replaces(k, n int, sight Sight) bool {
	switch op := &w.ops[k]; {
	case op.child == KindRun:
		return true
	case op.child == KindServer && sight.Child != nil && !sight.Protected:
		return w.mayReplace(k) && forced(sight.Child, w.server(op, n)) != ""
	}
	return false
}

// mayReplace reports whether servers of an operation may be made anew.
func (w *Workflow) mayReplace(k int) bool {
	return w.ops[k].ServerBatch.Template.Spec.UpdatePolicy == v1alpha1.UpdateReplaceAllowed
}

// renews reports whether an instance's machine becomes another one: its Server is replaced, or replaces its machine itself.
func (w *Workflow) renews(k, n int, sight Sight) bool {
	op := &w.ops[k]
	if op.child != KindServer || !w.mayReplace(k) {
		return w.replaces(k, n, sight)
	}
	server, ok := sight.Child.(*v1alpha1.Server)
	return !ok || w.replaces(k, n, sight) || server.Spec.Image != w.server(op, n).(*v1alpha1.Server).Spec.Image // where it was not seen, better too much than too little
}

// Wanted returns the child of an instance as it is to be, given what the ledger knows. While a value that it needs is not known, what
// refers to it stands in the child as it is written, and known is false.
func (w *Workflow) Wanted(l *saga.Ledger, i int) (child Child, known bool) {
	k := l.OpOf(i)
	if w.ops[k].child == "" {
		return nil, true
	}
	n := i - w.ops[k].first
	_, known = w.formOf(&w.ops[k], n, w.lookup(l))
	return w.child(l, k, n, int32(l.Attempts[i])), known
}
