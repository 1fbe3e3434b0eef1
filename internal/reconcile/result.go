package reconcile

import (
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// MaxMessage bounds the message of a condition, in bytes.
const MaxMessage = 1024

const (
	// unknownPause is how soon the outcome of a lost call is looked up.
	unknownPause = time.Second
	// eventPause is how soon we look again although an event should wake us: an event can be lost, an object must not be.
	eventPause = time.Minute
)

// Verdict is what a walk's outcome means to people, before it is written into conditions.
type Verdict struct {
	Ready       bool
	Stalled     bool // nobody tries again before something changes
	Reconciling bool
	Reason      string
	Message     string
}

// Result says what the outcome of a walk means: when to look again, and what to tell. It is a pure function.
//
//	nil      Ready         no requeue
//	Wait     Reconciling   after the pause that the error names; 0: an event will wake us, at the latest after a minute
//	Unknown  Reconciling   after the pause that the error names, at least a second: look what became of the call
//	Retry    Reconciling   after the pause that the error names; 0: Run returns the error and the queue backs off
//	Gone     as Retry: a step that meets it unexpectedly looks again
//	Terminal Stalled       no requeue; while deleting after a minute: a deletion is never given up, and what blocks it, such as
//	                       credentials in a Secret that nobody watches, may change without an event
func Result(err error, deleting bool) (ctrl.Result, Verdict) {
	if err == nil {
		return ctrl.Result{}, Verdict{Ready: true}
	}
	verdict := Verdict{Reason: string(fault.ReasonOf(err)), Message: Bounded(err.Error(), MaxMessage)}
	class, after := fault.ClassOf(err), max(fault.AfterOf(err), 0)
	verdict.Stalled = class == fault.Terminal
	verdict.Reconciling = !verdict.Stalled
	switch {
	case class == fault.Terminal && deleting:
		after = eventPause
	case class == fault.Terminal:
		after = 0
	case class == fault.Unknown:
		after = max(after, unknownPause)
	case class == fault.Wait && after == 0:
		after = eventPause
	}
	return ctrl.Result{RequeueAfter: after}, verdict
}

// apply writes the verdict into the object's conditions: the walk's own condition, and for Ready also Reconciling and Stalled,
// which are removed and never set False, so that kstatus reads the object right.
func (v Verdict) apply(obj v1alpha1.Object, condition, reason string, now time.Time) {
	if condition == "" {
		condition = v1alpha1.ReadyCondition
	}
	if v.Ready && v.Reason == "" {
		v.Reason = reason
		if v.Reason == "" {
			v.Reason = v1alpha1.ReasonReady
		}
	}
	status := metav1.ConditionFalse
	if v.Ready {
		status = metav1.ConditionTrue
	}
	Set(obj, condition, status, v.Reason, v.Message, now)
	if condition == v1alpha1.ReadyCondition {
		Flag(obj, v1alpha1.ReconcilingCondition, v.Reconciling, v.Reason, v.Message, now)
		Flag(obj, v1alpha1.StalledCondition, v.Stalled, v.Reason, v.Message, now)
		obj.SetObservedGeneration(obj.GetGeneration())
	}
}

// Set writes one condition; the transition time moves only when the status does.
func Set(obj v1alpha1.Object, condition string, status metav1.ConditionStatus, reason, message string, now time.Time) {
	conditions := obj.GetConditions()
	meta.SetStatusCondition(&conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: Bounded(message, MaxMessage),
		ObservedGeneration: obj.GetGeneration(), LastTransitionTime: metav1.NewTime(now),
	})
	obj.SetConditions(conditions)
}

// Flag sets a condition that exists only while it is True.
func Flag(obj v1alpha1.Object, condition string, on bool, reason, message string, now time.Time) {
	if on {
		Set(obj, condition, metav1.ConditionTrue, reason, message, now)
		return
	}
	conditions := obj.GetConditions()
	meta.RemoveStatusCondition(&conditions, condition)
	obj.SetConditions(conditions)
}

// Condition returns the condition of that type, or nil.
func Condition(obj v1alpha1.Object, condition string) *metav1.Condition {
	return meta.FindStatusCondition(obj.GetConditions(), condition)
}

// Bounded cuts text to at most n bytes of valid UTF-8 and marks the cut.
func Bounded(text string, n int) string {
	const mark = "…"
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= n {
		return text
	}
	if n < len(mark) {
		return ""
	}
	cut := n - len(mark)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + mark
}
