package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kwatch "k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/saga"
)

// watched are the kinds that a witness looks at.
var watched = []string{"Provider", "Server", "TaskService", "Run", "BatchWorkflow", "Checkpoint"}

// sighting is one event of the API server.
type sighting struct {
	at     time.Time
	verb   kwatch.EventType
	kind   string
	object *unstructured.Unstructured
}

// witness sees every write to our objects in one namespace, in order for each kind, from before the first one. What must never
// be seen it notes at once.
type witness struct {
	lives func(id string) bool // whether the cloud has that machine, ending or not
	later bool                 // ledgers that this release does not read are to be expected: what they hold is not looked at

	mu       sync.Mutex
	all      []sighting
	trouble  []string
	ids      map[string]string            // Server's uid → the machine's id
	ledgers  map[string]*saga.Ledger      // resourceVersion of a Checkpoint → what it held
	newest   map[string]*saga.Ledger      // name of a workflow → its newest ledger
	phases   map[string]string            // workflow's uid → its phase
	children []*unstructured.Unstructured // as they were made
}

// watch begins to look. It ends with the test.
func watch(t *testing.T, l *lab.Lab, namespace string, lives func(id string) bool) *witness {
	t.Helper()
	w := &witness{lives: lives, ids: map[string]string{}, ledgers: map[string]*saga.Ledger{}, newest: map[string]*saga.Ledger{}, phases: map[string]string{}}
	var ended sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	for _, kind := range watched {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		from, err := l.Client.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			t.Fatalf("watching %ss: %v", kind, err)
		}
		ended.Go(func() {
			defer from.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case event, ok := <-from.ResultChan():
					if !ok && ctx.Err() == nil {
						w.note("the watch of %ss broke off: nothing is proved", kind)
					}
					if !ok {
						return
					}
					w.see(kind, event)
				}
			}
		})
	}
	return w
}

func (w *witness) see(kind string, event kwatch.Event) {
	object, ok := event.Object.(*unstructured.Unstructured)
	if !ok || event.Type == kwatch.Error {
		w.note("the watch of %ss failed: %v", kind, event.Object)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, sighting{time.Now(), event.Type, kind, object})
	switch kind {
	case "Checkpoint":
		w.seeLedger(event.Type, object)
	case "BatchWorkflow":
		w.seePhase(object)
	case "Server":
		w.seeID(event.Type, object)
	}
	if event.Type == kwatch.Added && object.GetAnnotations()[v1alpha1.AnnotationRun] != "" {
		w.children = append(w.children, object)
	}
}

// seeLedger holds each ledger against the one before it.
func (w *witness) seeLedger(verb kwatch.EventType, object *unstructured.Unstructured) {
	var c v1alpha1.Checkpoint
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &c); err != nil {
		w.complain("checkpoint %s: %v", object.GetName(), err)
		return
	}
	if len(c.Status.Data) == 0 {
		return
	}
	next, err := saga.Decode(c.Status.Data)
	if _, unknown := errors.AsType[*saga.CodecUnknownError](err); w.later && (unknown || errors.Is(err, saga.ErrCorrupt)) {
		return
	}
	if err != nil {
		w.complain("checkpoint %s: %v", c.Name, err)
		return
	}
	w.ledgers[c.ResourceVersion] = next
	if before := w.newest[c.Name]; before != nil && before.Started == next.Started {
		for _, complaint := range backward(before, next) {
			w.complain("checkpoint %s: %s", c.Name, complaint)
		}
	}
	w.newest[c.Name] = next
	if verb == kwatch.Deleted {
		delete(w.newest, c.Name)
	}
}

// seePhase lets a workflow's phase go forward only.
func (w *witness) seePhase(object *unstructured.Unstructured) {
	phase := text(object, "status", "phase")
	before := w.phases[string(object.GetUID())]
	if before != phase && !slices.Contains(after[v1alpha1.WorkflowPhase(before)], v1alpha1.WorkflowPhase(phase)) {
		w.complain("workflow %s went from %q to %q", object.GetName(), before, phase)
	}
	w.phases[string(object.GetUID())] = phase
}

// seeID holds that an id once recorded stays, and that the object outlives its machine.
func (w *witness) seeID(verb kwatch.EventType, object *unstructured.Unstructured) {
	id := text(object, "status", "id")
	if before := w.ids[string(object.GetUID())]; before != "" && id != before {
		w.complain("server %s: the id %q became %q", object.GetName(), before, id)
	}
	w.ids[string(object.GetUID())] = id
	if verb == kwatch.Deleted && w.lives(id) {
		w.complain("server %s went before its machine %s had", object.GetName(), id)
	}
}

// after is where a workflow's phase may go, in as many steps as a summary leaves out.
var after = map[v1alpha1.WorkflowPhase][]v1alpha1.WorkflowPhase{
	"":                         {v1alpha1.WorkflowPending, v1alpha1.WorkflowSuspended, v1alpha1.WorkflowRunning, v1alpha1.WorkflowUndoing, v1alpha1.WorkflowSucceeded, v1alpha1.WorkflowFailed, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed},
	v1alpha1.WorkflowPending:   {v1alpha1.WorkflowSuspended, v1alpha1.WorkflowRunning, v1alpha1.WorkflowUndoing, v1alpha1.WorkflowSucceeded, v1alpha1.WorkflowFailed, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed},
	v1alpha1.WorkflowRunning:   {v1alpha1.WorkflowUndoing, v1alpha1.WorkflowSucceeded, v1alpha1.WorkflowFailed, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed},
	v1alpha1.WorkflowSuspended: {v1alpha1.WorkflowPending, v1alpha1.WorkflowRunning, v1alpha1.WorkflowUndoing, v1alpha1.WorkflowSucceeded, v1alpha1.WorkflowFailed, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed},
	v1alpha1.WorkflowUndoing:   {v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed},
}

// reachable is saga's table closed over several steps: one write may hold many.
var reachable = sync.OnceValue(func() (to [saga.NumPhases][saga.NumPhases]bool) {
	for p := range saga.NumPhases {
		for q := range saga.NumPhases {
			to[p][q] = p == q || saga.CanMove(p, q)
		}
	}
	for via := range saga.NumPhases {
		for p := range saga.NumPhases {
			for q := range saga.NumPhases {
				to[p][q] = to[p][q] || to[p][via] && to[via][q]
			}
		}
	}
	return to
})

// backward says what went back between two ledgers of one run.
func backward(before, next *saga.Ledger) (complaints []string) {
	if before.N() != next.N() {
		return []string{fmt.Sprintf("%d instances became %d", before.N(), next.N())}
	}
	if before.Phase != next.Phase && before.Phase.Terminal() {
		complaints = append(complaints, fmt.Sprintf("the run went from %s to %s", before.Phase, next.Phase))
	}
	for i := range next.N() {
		name := next.Ops[next.OpOf(i)].Name + "/" + next.Key(i)
		if p, q := before.Phases[i], next.Phases[i]; !reachable()[p][q] {
			complaints = append(complaints, fmt.Sprintf("%s went from %s to %s", name, p, q))
		}
		if p, q := before.Attempts[i], next.Attempts[i]; q < p {
			complaints = append(complaints, fmt.Sprintf("%s: %d attempts became %d", name, p, q))
		}
	}
	return complaints
}

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complain(format, args...)
}

func (w *witness) complain(format string, args ...any) {
	if len(w.trouble) < 20 {
		w.trouble = append(w.trouble, fmt.Sprintf(format, args...))
	}
}

// problems are what must not have been seen.
func (w *witness) problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.trouble)
}

// latest is the newest ledger of a workflow, nil before there is one.
func (w *witness) latest(workflow string) *saga.Ledger {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest[workflow]
}

// sightings returns what was seen so far.
func (w *witness) sightings() []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// doing describes the last write that was seen.
func (w *witness) doing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		return "nothing yet"
	}
	last := w.all[len(w.all)-1]
	return fmt.Sprintf("%s %s %s %s", last.verb, last.kind, last.object.GetName(), text(last.object, "status", "phase"))
}

// story tells the newest of what was seen, a line each.
func (w *witness) story(most int) string {
	all := w.sightings()
	var told strings.Builder
	for _, s := range all[max(0, len(all)-most):] {
		going := ""
		if s.object.GetDeletionTimestamp() != nil {
			going = fmt.Sprintf(" going, held by %v", s.object.GetFinalizers())
		}
		ready := condition(s.object, v1alpha1.ReadyCondition)
		fmt.Fprintf(&told, "%s %s %s %s %s%s: %.200v\n", s.at.Format("15:04:05.000"), s.verb, s.kind, s.object.GetName(), text(s.object, "status", "phase"), going, ready["message"])
	}
	return told.String()
}

// text reads a string of an object, "" when there is none.
func text(object *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, path...)
	return value
}

// condition reads a condition of an object, nil when there is none.
func condition(object *unstructured.Unstructured, kind string) map[string]any {
	all, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range all {
		if c, ok := one.(map[string]any); ok && c["type"] == kind {
			return c
		}
	}
	return nil
}

// isReady says whether the object's own condition says that it is, for the spec that it has now.
func isReady(object *unstructured.Unstructured) bool {
	ready := condition(object, v1alpha1.ReadyCondition)
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	return ready != nil && ready["status"] == "True" && observed == object.GetGeneration()
}

// ordered holds every child against the ledger that ordered it: its instance was recorded as ordered, and whatever it depends on
// by a Hard edge had succeeded, durably, before the child was made.
func (w *witness) ordered(t *testing.T, workflow string, limit int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for version, l := range w.ledgers {
		if counts := l.Counts(); int(counts.Live()) > limit {
			t.Errorf("checkpoint at %s: %d instances are under way, %d may be", version, counts.Live(), limit)
		}
	}
	for _, child := range w.children {
		if child.GetLabels()[v1alpha1.LabelWorkflow] != workflow {
			continue
		}
		version := child.GetAnnotations()[v1alpha1.AnnotationOrderedBy]
		l := w.ledgers[version]
		if l == nil && w.later {
			continue
		}
		if l == nil {
			t.Errorf("%s %s was ordered by version %q of the checkpoint, which nobody saw", child.GetKind(), child.GetName(), version)
			continue
		}
		k := l.Find(child.GetLabels()[v1alpha1.LabelOperation])
		if k < 0 {
			t.Errorf("%s %s is of no operation", child.GetKind(), child.GetName())
			continue
		}
		for n := range int(l.Ops[k].Count) {
			if i := l.Instance(k, n); l.Key(i) == child.GetLabels()[v1alpha1.LabelKey] && !l.Ordered(i) {
				t.Errorf("%s %s was made and not recorded as ordered", child.GetKind(), child.GetName())
			}
		}
		for _, p := range l.Ops[k].Preds {
			counts := l.OpCounts(int(p.Op))
			if !p.Soft && counts.Passed() != counts.Total() || counts.Settled() != counts.Total() {
				t.Errorf("%s %s was made before %s had ended", child.GetKind(), child.GetName(), l.Ops[p.Op].Name)
			}
		}
	}
}
