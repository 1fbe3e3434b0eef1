package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// yard plays a workflow against children that do what they are asked at once, and keeps what was done to them.
type yard struct {
	testing.TB
	flow  *v1alpha1.BatchWorkflow
	l     *saga.Ledger
	kids  map[string]Child
	fails map[string]bool // by operation/key: its child stalls
	holds map[string]bool // by operation/key: its child never answers
	lists string          // the output "list" of all Runs
	did   []string        // what was done, in order: "Ensure servers/0"
	asked Requests
	now   time.Time
	uids  int
	err   error
}

func newYard(t testing.TB, spec string) *yard {
	t.Helper()
	y := &yard{TB: t, flow: flow(t, spec), kids: map[string]Child{}, fails: map[string]bool{}, holds: map[string]bool{}, now: time.Unix(1_800_000_000, 0)}
	y.flow.Generation = 1
	return y
}

// apply edits the workflow.
func (y *yard) apply(spec string) *yard {
	next := flow(y, spec)
	next.Generation, next.Annotations = y.flow.Generation+1, y.flow.Annotations
	y.flow = next
	return y
}

// run looks until nothing changes any more.
func (y *yard) run() *yard {
	y.Helper()
	y.did = nil
	for range 200 {
		if !y.look() {
			return y
		}
	}
	y.Fatalf("it does not come to rest: %s", y.phases())
	return y
}

// look is one look; it reports whether anything was done or learned.
func (y *yard) look() bool {
	y.Helper()
	compiled, err := Compile(y.flow, nil)
	if err != nil {
		y.Fatal(err)
	}
	if y.l == nil {
		if y.l, err = compiled.Start(y.now.Unix()); err != nil {
			y.Fatal(err)
		}
	}
	w, err := compiled.Under(y.l)
	if err != nil {
		y.Fatal(err)
	}
	sights := y.sights(w)
	next, _, err := Advance(w, y.l, sights, y.asked, y.now)
	if y.err = err; err != nil {
		return false
	}
	data, err := saga.Encode(next)
	if err != nil {
		y.Fatal(err)
	}
	before := y.l
	if y.l, err = saga.Decode(data); err != nil {
		y.Fatal(err)
	}
	if w.Replanned(y.l) {
		return true
	}
	actions := Act(w, y.l, sights)
	for _, action := range actions {
		y.do(action)
	}
	y.now = y.now.Add(time.Second)
	return next != before || len(actions) > 0
}

func (y *yard) sights(w *Workflow) Sights {
	sights, places := Sights{}, w.Places(y.l)
	for _, name := range slices.Sorted(maps.Keys(y.kids)) {
		kid := y.kids[name]
		sight := Look(kid)
		if place := places.Of(name); place >= 0 && Wants(w, y.l, place) {
			sights[place] = sight
		} else {
			y.note("Stray", kid)
			delete(y.kids, name)
		}
	}
	for _, place := range Confirm(w, y.l, sights) {
		sights[place] = Sight{Gone: true}
	}
	return sights
}

func (y *yard) do(action ChildAction) {
	y.Helper()
	kid := y.kids[action.Name]
	switch action.Do {
	case Ensure:
		if kid != nil {
			return
		}
		kid = action.Child
		y.uids++
		kid.SetUID(types.UID(fmt.Sprint("u", y.uids)))
		kid.SetGeneration(1)
	case Update, Revert, Release, Retreat:
		if err := action.Rewrite(kid); err != nil {
			y.Fatal(err)
		}
		kid.SetGeneration(kid.GetGeneration() + 1)
	case Raise:
		kid.GetAnnotations()[v1alpha1.AnnotationAttempt] = fmt.Sprint(action.Attempt)
	case Delete, Supplant:
		y.note("Delete", kid)
		delete(y.kids, action.Name)
		return
	}
	y.note(string(action.Do), kid)
	if action.Do == Release {
		delete(y.kids, action.Name)
		return
	}
	y.kids[action.Name] = kid
	y.answer(kid)
}

// answer is what a leaf says of itself.
func (y *yard) answer(kid Child) {
	name := nameOf(kid)
	if y.holds[name] {
		return
	}
	object := kid.(v1alpha1.Object)
	object.SetObservedGeneration(kid.GetGeneration())
	status := metav1.ConditionTrue
	conditions := []metav1.Condition(nil)
	if y.fails[name] {
		status = metav1.ConditionFalse
		conditions = append(conditions, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue})
	}
	object.SetConditions(append(conditions, metav1.Condition{Type: v1alpha1.ReadyCondition, Status: status, Reason: "Told", Message: name + " says so"}))
	switch c := kid.(type) {
	case *v1alpha1.Server:
		c.Status.Attempt, c.Status.Access = attemptOf(kid), &v1alpha1.ServerAccess{Address: "at-" + name}
	case *v1alpha1.TaskService:
		c.Status.Attempt, c.Status.Outputs = attemptOf(kid), map[string]string{"token": name + string(c.Spec.Version)}
	case *v1alpha1.Run:
		c.Status.Attempt, c.Status.Outputs, c.Status.Phase = attemptOf(kid), map[string]string{"token": name, "list": y.lists}, v1alpha1.RunSucceeded
		if y.fails[name] {
			c.Status.Phase = v1alpha1.RunFailed
		}
	}
}

func (y *yard) note(what string, kid Child) { y.did = append(y.did, what+" "+nameOf(kid)) }

// nameOf is operation/key, with a mark for the Run that undoes.
func nameOf(kid Child) string {
	labels := kid.GetLabels()
	name := labels[v1alpha1.LabelOperation] + "/" + labels[v1alpha1.LabelKey]
	if kid.GetName() == undoName(labels[v1alpha1.LabelWorkflow], labels[v1alpha1.LabelOperation], labels[v1alpha1.LabelKey]) {
		name += "!"
	}
	return name
}

func (y *yard) kid(name string) Child {
	y.Helper()
	for _, kid := range y.kids {
		if nameOf(kid) == name {
			return kid
		}
	}
	y.Fatalf("there is no child %s", name)
	return nil
}

// doing wants what was done since the last run, in any order of what one look did.
func (y *yard) doing(want ...string) *yard {
	y.Helper()
	if got := strings.Join(y.did, ", "); got != strings.Join(want, ", ") {
		y.Fatalf("what was done: %s\nwant: %s\n%s", got, strings.Join(want, ", "), y.phases())
	}
	return y
}

func (y *yard) phases() string {
	parts := []string{}
	for i, phase := range y.l.Phases {
		parts = append(parts, fmt.Sprintf("%s/%s %s", y.l.Ops[y.l.OpOf(i)].Name, y.l.Key(i), phase))
	}
	return fmt.Sprintf("run %d %s: %s", y.l.Run, y.l.Phase, strings.Join(parts, ", "))
}

func (y *yard) want(want string) *yard {
	y.Helper()
	if got := y.phases(); got != want {
		y.Fatalf("the ledger says\n%s\nwant\n%s\ndone: %s", got, want, strings.Join(y.did, ", "))
	}
	return y
}
