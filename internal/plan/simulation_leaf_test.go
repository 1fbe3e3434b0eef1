package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// result is how one attempt of a leaf ends.
type result uint8

const (
	ends   result = iota // Ready
	stalls               // Stalled, until another attempt is asked for
	doubts               // a Run's Unknown
	hangs                // no end at all
)

// leaf is what becomes of one instance's child, and how far it is.
type leaf struct {
	queue, work, going time.Duration
	results            []result // by attempt; what comes after the last is like the last
	recovers           bool     // what stalled goes on by itself some time later
	stuck              bool     // its deletion stalls
	freed              bool     // and goes through all the same later
	yields             int32    // and goes through at this attempt; 0: at none
	mute               bool     // it offers no outputs
	outputs            map[string]string

	attempt    int32     // taken up
	generation int64     // taken up
	isLeft     bool      // it stood when its operation was removed
	takes      int       // how often the engine took it away for good reason
	since      time.Time // when
	leaving    time.Time // since when it is being deleted
	told       int       // how much of this attempt, or of the deletion, is in the status
	blocked    bool      // that its deletion waits is in the status
	created    int       // how often
	vanished   int       // how often another hand took it
	stale      int       // how often somebody made it whose order was out of date
	byStale    bool      // the present one was made so

	worksAt   time.Time // when this attempt left its queue
	suspends  int       // how often it had been suspended or resumed then
	heldAt    int32     // for how long the run had been held then
	stalledAt int32     // the last attempt that it said it failed
}

// Stages of what is told.
const (
	toldNothing = iota
	toldQueued
	toldWorking
	toldEnd
	toldRecovered
)

// changed reports whether the child was changed since it was taken up.
func (f *leaf) changed(live Child) bool {
	return f.told != toldNothing && live.GetGeneration() > f.generation
}

func (f *leaf) made() {
	f.attempt, f.told, f.generation = 0, toldNothing, 1
	f.created++
}

func (f *leaf) leave(now time.Time) { f.leaving, f.told, f.blocked = now, toldNothing, false }

// due returns when the leaf does something next; false: it waits for others.
func (w *world) due(h *history) (time.Time, bool) {
	f, live := w.leaf(h), h.live()
	switch {
	case live == nil:
		return time.Time{}, false
	case live.GetDeletionTimestamp() != nil && attemptOf(live) > f.attempt && f.told >= toldEnd:
		return w.now, true
	case live.GetDeletionTimestamp() != nil && w.held(h):
		return w.now, !f.blocked
	case live.GetDeletionTimestamp() != nil && f.stuck && f.told >= toldEnd:
		return f.leaving.Add(f.going + 2*time.Second), f.freed
	case live.GetDeletionTimestamp() != nil:
		return f.leaving.Add(f.going), true
	case attemptOf(live) > f.attempt, f.changed(live):
		return w.now, true
	case f.told == toldQueued:
		return f.since.Add(f.queue), true
	case f.told == toldWorking && f.result() != hangs:
		return f.since.Add(f.queue + f.work), true
	case f.told == toldEnd && f.result() == stalls && f.recovers:
		return f.since.Add(f.queue + f.work + 20*time.Second), true
	}
	return time.Time{}, false
}

func (f *leaf) result() result {
	return f.results[min(max(int(f.attempt), 1), len(f.results))-1]
}

// held reports whether a leaving Server is still in use: as the leaves do, it waits for services, and for runs that have not
// ended or are leaving themselves.
func (w *world) held(h *history) bool {
	if h.kind != KindServer {
		return false
	}
	return slices.ContainsFunc(w.children, func(other *history) bool {
		switch user := other.live().(type) {
		case *v1alpha1.TaskService:
			return slices.Contains(user.Spec.Servers.Names, h.name)
		case *v1alpha1.Run:
			return user.Spec.Target != nil && user.Spec.Target.ServerRef.Name == h.name &&
				(user.DeletionTimestamp != nil || user.Status.FinishedAt == nil)
		}
		return false
	})
}

// work goes on: what is due is written into the child's status.
func (w *world) work(h *history) bool {
	if due, ok := w.due(h); !ok || due.After(w.now) {
		return false
	}
	f, live := w.leaf(h), h.live()
	switch {
	case live.GetDeletionTimestamp() != nil:
		w.leave(h, f)
	case attemptOf(live) > f.attempt, f.changed(live):
		f.attempt, f.since, f.told, f.generation = attemptOf(live), w.now, toldQueued, live.GetGeneration()
		if w.rng.IntN(3) == 0 {
			f.says(anyList(w.rng))
		}
		w.tell(h, false, false, fault.ReasonQueued, "2 of 2 places are taken")
	case f.told == toldQueued:
		f.told, f.worksAt, f.suspends = toldWorking, w.now, w.suspends
		if f.heldAt = 0; w.durable != nil {
			f.heldAt = w.durable.At(w.now.Unix()) - w.durable.Clock(w.now.Unix())
		}
		w.tell(h, false, false, fault.ReasonInProgress, "it is being made")
	case f.told == toldWorking:
		f.told = toldEnd
		w.conclude(h, f)
	default:
		f.told = toldRecovered
		w.visited.see("recovered by itself")
		w.tell(h, true, false, "", "")
	}
	return true
}

func (w *world) conclude(h *history, f *leaf) {
	switch f.result() {
	case ends:
		w.visited.see("child ready")
		w.tell(h, true, false, "", "")
	case doubts:
		w.visited.see("child unknown")
		w.tell(h, false, true, fault.ReasonOutcomeUnknown, "whether it took effect cannot be known")
	default:
		f.stalledAt = f.attempt
		w.visited.see("child stalled")
		w.tell(h, false, true, fault.ReasonQuotaExceeded, fmt.Sprintf("%s says: the quota of 20 machines is used up (attempt %d)", h.name, f.attempt))
	}
}

// leave goes on with a deletion.
func (w *world) leave(h *history, f *leaf) {
	if f.told < toldEnd {
		f.attempt = max(f.attempt, attemptOf(h.live())) // whatever it is asked for, it leaves
	}
	switch {
	case w.held(h):
		f.blocked, f.told = true, toldNothing // what stalled before is found out again
		w.tell(h, false, false, fault.ReasonDeletionBlocked, "somebody uses it")
	case f.told >= toldEnd && attemptOf(h.live()) > f.attempt: // asked to try its deletion again
		f.attempt, f.leaving, f.told = attemptOf(h.live()), w.now, toldQueued
		w.tell(h, false, false, fault.ReasonInProgress, "it is being deleted")
	case f.stuck && f.told < toldEnd && (f.yields == 0 || f.attempt < f.yields):
		f.told = toldEnd
		w.visited.see("deletion stalled")
		w.tell(h, false, true, fault.ReasonUnauthorized, "403: not allowed to delete it")
	default:
		w.put(h, nil)
	}
}

// tell writes the status. The generation that it speaks of is the present one.
func (w *world) tell(h *history, ready, stalled bool, reason fault.Reason, message string) {
	f, next := w.leaf(h), h.live().DeepCopyObject().(Child)
	object := next.(v1alpha1.Object)
	object.SetObservedGeneration(object.GetGeneration())
	conditions := []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: string(reason), Message: message}}
	if ready {
		conditions[0].Status, conditions[0].Reason = metav1.ConditionTrue, v1alpha1.ReasonReady
	}
	if stalled {
		conditions = append(conditions, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: string(reason)})
	}
	object.SetConditions(conditions)
	switch c := next.(type) {
	case *v1alpha1.Server:
		c.Status.Attempt = f.attempt
		if f.told >= toldWorking {
			c.Status.ID = "m"
		}
		if ready && !f.mute {
			c.Status.Access = &v1alpha1.ServerAccess{Address: f.outputs[outputAddresses]}
		}
	case *v1alpha1.TaskService:
		c.Status.Attempt = f.attempt
		if f.told >= toldWorking {
			c.Status.Resolved = &v1alpha1.ResolvedRecipe{}
		}
		if ready && !f.mute {
			c.Status.Outputs = f.outputs
		}
	case *v1alpha1.Run:
		w.tellRun(c, f, ready, stalled)
	}
	w.put(h, next)
}

func (w *world) tellRun(r *v1alpha1.Run, f *leaf, ready, stalled bool) {
	r.Status.Attempt, r.Status.FinishedAt = f.attempt, nil
	if ready && !f.mute {
		r.Status.Outputs = f.outputs
	}
	if ready || stalled {
		at := metav1.NewTime(w.now)
		r.Status.FinishedAt = &at
	}
	switch {
	case ready:
		r.Status.Phase = v1alpha1.RunSucceeded
	case stalled && f.result() == doubts && r.DeletionTimestamp == nil:
		r.Status.Phase = v1alpha1.RunUnknown
	case stalled:
		r.Status.Phase = v1alpha1.RunFailed
	default:
		r.Status.Phase = v1alpha1.RunRunning
	}
}

// isReady reads the condition, for the checks.
func isReady(child Child) bool {
	return meta.IsStatusConditionTrue(child.(v1alpha1.Object).GetConditions(), v1alpha1.ReadyCondition)
}

// wasReady reports whether a child was ever what was asked for.
func (h *history) wasReady() bool { return h.lastReady() != nil }

// lastReady returns a child as it was when it was last what was asked for, or nil.
func (h *history) lastReady() Child {
	if h == nil {
		return nil
	}
	for _, v := range slices.Backward(h.versions) {
		if v.child != nil && isReady(v.child) {
			return v.child
		}
	}
	return nil
}
