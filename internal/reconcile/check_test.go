package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

var noon = time.Unix(1_700_000_000, 0)

func set(obj v1alpha1.Object, condition string, status metav1.ConditionStatus) {
	reconcile.Set(obj, condition, status, "Reason", "message", noon)
}

func remove(obj v1alpha1.Object, condition string) {
	reconcile.Flag(obj, condition, false, "", "", noon)
}

// good objects, one for each way of being.
func ready(obj v1alpha1.Object) v1alpha1.Object {
	obj.SetGeneration(3)
	obj.SetObservedGeneration(3)
	set(obj, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	return obj
}

func unready(obj v1alpha1.Object, why string) v1alpha1.Object {
	ready(obj)
	set(obj, v1alpha1.ReadyCondition, metav1.ConditionFalse)
	set(obj, why, metav1.ConditionTrue)
	return obj
}

func fresh(obj v1alpha1.Object) v1alpha1.Object {
	obj.SetGeneration(1)
	obj.SetObservedGeneration(-1)
	return obj
}

func server(phase v1alpha1.ServerPhase) *v1alpha1.Server {
	return &v1alpha1.Server{Status: v1alpha1.ServerStatus{Phase: phase}}
}

func run(phase v1alpha1.RunPhase) *v1alpha1.Run {
	return &v1alpha1.Run{Status: v1alpha1.RunStatus{Phase: phase}}
}

func workflow(phase v1alpha1.WorkflowPhase) *v1alpha1.BatchWorkflow {
	return &v1alpha1.BatchWorkflow{Status: v1alpha1.BatchWorkflowStatus{Phase: phase}}
}

func succeeded(obj v1alpha1.Object, status metav1.ConditionStatus) v1alpha1.Object {
	set(obj, v1alpha1.SucceededCondition, status)
	return obj
}

// spoilt does one thing to a good object that Check must notice.
func spoilt(obj v1alpha1.Object, spoil func(v1alpha1.Object)) v1alpha1.Object {
	spoil(obj)
	return obj
}

// edit changes a condition behind the back of Set, which would not do it.
func edit(condition string, change func(*metav1.Condition)) func(v1alpha1.Object) {
	return func(obj v1alpha1.Object) {
		conditions := obj.GetConditions()
		change(meta.FindStatusCondition(conditions, condition))
	}
}

func TestCheckAcceptsWhatTheFrameWrites(t *testing.T) {
	now := metav1.Now()
	deleting := func(obj v1alpha1.Object) { obj.SetDeletionTimestamp(&now) }
	for name, obj := range map[string]v1alpha1.Object{
		"Fresh":            fresh(server("")),
		"Ready":            ready(server(v1alpha1.ServerReady)),
		"Creating":         unready(server(v1alpha1.ServerCreating), v1alpha1.ReconcilingCondition),
		"StoppedAtOnce":    unready(workflow(v1alpha1.WorkflowPending), v1alpha1.StalledCondition),
		"Failed":           unready(server(v1alpha1.ServerFailed), v1alpha1.StalledCondition),
		"NewSpecNotSeen":   spoilt(ready(server(v1alpha1.ServerReady)), func(o v1alpha1.Object) { o.SetGeneration(4) }),
		"RunSucceeded":     succeeded(ready(run(v1alpha1.RunSucceeded)), metav1.ConditionTrue),
		"RunUnknown":       succeeded(unready(run(v1alpha1.RunUnknown), v1alpha1.StalledCondition), metav1.ConditionFalse),
		"WorkflowUndoing":  unready(workflow(v1alpha1.WorkflowUndoing), v1alpha1.ReconcilingCondition),
		"RolledBack":       succeeded(unready(workflow(v1alpha1.WorkflowRolledBack), v1alpha1.StalledCondition), metav1.ConditionFalse),
		"Planned":          ready(workflow(v1alpha1.WorkflowPlanned)),
		"DeletedAfterAll":  spoilt(succeeded(unready(workflow(v1alpha1.WorkflowSucceeded), v1alpha1.ReconcilingCondition), metav1.ConditionTrue), deleting),
		"ReadyServerGoing": spoilt(unready(server(v1alpha1.ServerReady), v1alpha1.ReconcilingCondition), deleting),
		"Provider":         ready(&v1alpha1.Provider{}),
		"NotFromAServer":   &v1alpha1.Provider{},
	} {
		t.Run(name, func(t *testing.T) {
			if problems := reconcile.Check(obj); len(problems) != 0 {
				t.Error(problems)
			}
		})
	}
}

func TestCheckNotices(t *testing.T) {
	const rec, stalled, rdy = v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition, v1alpha1.ReadyCondition
	working := func() v1alpha1.Object { return unready(&v1alpha1.Provider{}, rec) }
	for name, tc := range map[string]struct {
		obj  v1alpha1.Object
		want string
	}{
		"ReadyAndReconciling": {spoilt(ready(&v1alpha1.Provider{}), func(o v1alpha1.Object) { set(o, rec, "True") }), "Ready is True and Reconciling is present"},
		"ReadyAndStalled":     {spoilt(ready(&v1alpha1.Provider{}), func(o v1alpha1.Object) { set(o, stalled, "True") }), "Ready is True and Stalled is present"},
		"BothFlags":           {spoilt(working(), func(o v1alpha1.Object) { set(o, stalled, "True") }), "both present"},
		"ReconcilingFalse":    {spoilt(working(), func(o v1alpha1.Object) { set(o, rec, "False") }), "Reconciling is False"},
		"StalledFalse":        {spoilt(working(), func(o v1alpha1.Object) { set(o, stalled, "False") }), "Stalled is False"},
		"UnreadyWithoutWhy":   {spoilt(working(), func(o v1alpha1.Object) { remove(o, rec) }), "neither Reconciling nor Stalled"},
		"ReadyUnknown":        {spoilt(working(), func(o v1alpha1.Object) { set(o, rdy, "Unknown") }), "Ready is Unknown"},
		"ReadyAbsent":         {spoilt(ready(&v1alpha1.Provider{}), func(o v1alpha1.Object) { remove(o, rdy) }), "Ready present is false"},
		"FlagWithoutReady":    {spoilt(fresh(&v1alpha1.Provider{}), func(o v1alpha1.Object) { set(o, rec, "True") }), "Ready is absent"},
		"ReadyNotObserved":    {spoilt(ready(&v1alpha1.Provider{}), func(o v1alpha1.Object) { o.SetObservedGeneration(-1) }), "observedGeneration is -1"},
		"ObservedZero":        {spoilt(fresh(&v1alpha1.Provider{}), func(o v1alpha1.Object) { o.SetObservedGeneration(0) }), "observedGeneration is 0"},
		"ObservedAhead":       {spoilt(ready(&v1alpha1.Provider{}), func(o v1alpha1.Object) { o.SetObservedGeneration(4) }), "ahead of generation"},
		"ConditionAhead":      {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.ObservedGeneration = 4 })), "Ready has observedGeneration 4"},
		"ConditionOfNever":    {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.ObservedGeneration = 0 })), "Ready has observedGeneration 0"},
		"NoReason":            {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.Reason = "" })), `Ready has the reason ""`},
		"ReasonInWords":       {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.Reason = "in words" })), `reason "in words"`},
		"NoMessage":           {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.Message = "" })), "says nothing to people"},
		"LongMessage":         {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.Message = strings.Repeat("x", 1025) })), "1025 bytes"},
		"BrokenMessage":       {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.Message = "\xff" })), "not UTF-8"},
		"NoTime":              {spoilt(working(), edit(rdy, func(c *metav1.Condition) { c.LastTransitionTime = metav1.Time{} })), "no transition time"},
		"ForeignCondition":    {spoilt(working(), func(o v1alpha1.Object) { set(o, v1alpha1.ReachableCondition, "True") }), "Reachable does not belong"},
		"SucceededOfAServer":  {succeeded(ready(server("")), "True"), "Succeeded does not belong"},
		"SucceededUnready":    {succeeded(unready(run(""), stalled), "True"), "do not go together"},
		"ReadyUnsucceeded":    {ready(run("")), "do not go together"},
		"FailedUnderWay":      {succeeded(unready(run(""), rec), "False"), "Succeeded is False and Stalled is absent"},
		"PhaseReadyUnready":   {unready(server(v1alpha1.ServerReady), rec), "phase Ready and Ready=false"},
		"PhaseBootingReady":   {ready(server(v1alpha1.ServerBooting)), "phase Booting and Ready=true"},
		"PhaseFailedMoving":   {unready(server(v1alpha1.ServerFailed), rec), "phase Failed and Stalled is absent"},
		"RunningButEnded":     {succeeded(unready(workflow(v1alpha1.WorkflowRunning), stalled), "False"), "phase Running and Succeeded"},
		"PlannedAndEnded":     {succeeded(ready(workflow(v1alpha1.WorkflowPlanned)), "True"), "only a plan was wanted"},
		"UnknownPhase":        {ready(server("Sleeping")), `phase "Sleeping"`},
	} {
		t.Run(name, func(t *testing.T) {
			problems := reconcile.Check(tc.obj)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, tc.want) }) {
				t.Errorf("Check = %q, want one with %q", problems, tc.want)
			}
		})
	}
}
