package server

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/plan"
)

// waker puts Servers into the controller's queue when the account, and not the API server, has news of them. What comes before
// the queue exists is dropped: at its start the controller looks at everything anyhow.
type waker struct {
	mu     sync.Mutex
	queue  workqueue.TypedRateLimitingInterface[ctrl.Request]
	asking map[plan.Key]ask
}

// ask is a slot, or a place in the queue of an account.
type ask struct {
	name    types.NamespacedName
	account string
	since   time.Time
	granted bool
}

func newWaker() *waker { return &waker{asking: map[plan.Key]ask{}} }

func (w *waker) begin(queue workqueue.TypedRateLimitingInterface[ctrl.Request]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
}

func (w *waker) asks(key plan.Key, a ask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if had, asks := w.asking[key]; asks && had.account == a.account {
		a.since, a.granted = had.since, had.granted
	}
	w.asking[key] = a
}

// forgets returns the account that the key asked at, and "" for one that did not.
func (w *waker) forgets(key plan.Key) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	account := w.asking[key].account
	delete(w.asking, key)
	return account
}

// turns is a turnstile.Wake.
func (w *waker) turns(_ string, keys []plan.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		if a, ok := w.asking[key]; ok {
			w.add(a.name)
		}
	}
}

func (w *waker) changes(changes []inventory.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, change := range changes {
		w.add(types.NamespacedName{Namespace: change.Owner.Namespace, Name: change.Owner.Name})
	}
}

// wakes is for one Server whose call for many has news.
func (w *waker) wakes(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(name)
}

func (w *waker) add(name types.NamespacedName) {
	if w.queue != nil {
		w.queue.Add(ctrl.Request{NamespacedName: name})
	}
}

// wanted lets through what people and workflows ask of a Server, and that it is gone. Its status is written by this controller and by the reach side,
// and neither has anything to tell this one: the two halves must not wake each other for ever.
func wanted() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
				e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero() ||
				!maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
				e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationAbandon] != e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationAbandon] ||
				e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationAttempt] != e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationAttempt]
		},
	}
}

// providerTurned lets through a Provider that came, went or changed its mind.
func providerTurned() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.Provider)
		after, ok2 := e.ObjectNew.(*v1alpha1.Provider)
		if !ok1 || !ok2 {
			return false
		}
		was, is := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ReadyCondition), meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ReadyCondition)
		return before.Generation != after.Generation || before.Status.Account != after.Status.Account ||
			(was == nil) != (is == nil) || was != nil && (was.Status != is.Status || was.Reason != is.Reason)
	}}
}

// runEnds lets through a run that may have let go of its machine.
func runEnds() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.Run)
			after, ok2 := e.ObjectNew.(*v1alpha1.Run)
			return ok1 && ok2 && holds(before) && !holds(after)
		},
	}
}
