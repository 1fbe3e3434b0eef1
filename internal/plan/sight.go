package plan

import (
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// Sight is what was seen of one instance's child. The zero value means "not seen", which is not the same as Gone.
type Sight struct {
	Exists    bool
	Deleting  bool
	Gone      bool // a live read found nothing: its absence is confirmed
	Queued    bool // it waits for a limit, or nobody has looked at it yet
	Ready     bool // it is what was asked for
	Stalled   bool // it does not go on by itself
	Unknown   bool // it cannot say whether its effect took place
	Asked     int32
	Answered  int32 // the attempt that Ready, Stalled and Unknown speak of
	UID       types.UID
	Reason    string
	Message   string
	Outputs   map[string]string
	Protected bool                 // it may not be deleted
	Run       int32                // the run of the workflow that last changed it, and
	Effect    string               // what it did to it
	Child     Child                // the child as it was seen, which is the cache's own: it is read and never changed. Nil: only its metadata were seen
	Cost      *v1alpha1.ServerCost // of a Server
}

// Sights are what was seen, by instance.
type Sights map[int]Sight

// NotMade is the sight of a child that could not be made: the API server or a foreign object is in the way. It counts for
// the attempt that was to make it.
func NotMade(attempt int32, err error) Sight {
	return Sight{Exists: true, Stalled: true, Asked: attempt, Answered: attempt, Reason: string(fault.ReasonOf(err)), Message: err.Error()}
}

// LookAt reads the metadata of a child.
func LookAt(child metav1.Object) Sight {
	return Sight{
		Exists: true, Deleting: child.GetDeletionTimestamp() != nil, UID: child.GetUID(), Asked: attemptOf(child),
		Run: number(child, v1alpha1.AnnotationRun), Effect: child.GetAnnotations()[v1alpha1.AnnotationEffect],
	}
}

// Look reads a child: a *Server, *TaskService or *Run.
func Look(child metav1.Object) Sight {
	s := LookAt(child)
	s.Child, _ = child.(Child)
	switch c := child.(type) {
	case *v1alpha1.Server:
		s.judge(c, c.Status.Attempt)
		s.Outputs, s.Cost = serverOutputs(c), c.Status.Cost
		s.Protected = c.Spec.DeletionProtection == v1alpha1.SwitchEnabled
	case *v1alpha1.TaskService:
		s.judge(c, c.Status.Attempt)
		s.Outputs = c.Status.Outputs
	case *v1alpha1.Run:
		s.judge(c, c.Status.Attempt)
		s.Unknown = s.Stalled && c.Status.Phase == v1alpha1.RunUnknown
		s.Outputs = c.Status.Outputs
	}
	return s
}

// judge reads the conditions. A status that speaks of an older spec says nothing yet.
func (s *Sight) judge(child v1alpha1.Object, answered int32) {
	s.Answered = answered
	if child.GetObservedGeneration() != child.GetGeneration() {
		s.Queued = true
		return
	}
	conditions := child.GetConditions()
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition); ready != nil {
		s.Ready = ready.Status == metav1.ConditionTrue
		s.Reason, s.Message = ready.Reason, ready.Message
		s.Queued = ready.Reason == string(fault.ReasonQueued)
	}
	s.Stalled = meta.IsStatusConditionTrue(conditions, v1alpha1.StalledCondition)
}

func attemptOf(child metav1.Object) int32 { return number(child, v1alpha1.AnnotationAttempt) }

func number(child metav1.Object, annotation string) int32 {
	n, err := strconv.ParseInt(child.GetAnnotations()[annotation], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}
