package reach

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/script"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// dialer answers with one transport, or refuses, and counts.
type dialer struct {
	mu     sync.Mutex
	dials  int
	refuse []error // of the next calls
	facts  string
}

func (d *dialer) HostKeys(context.Context, transport.Access, transport.Credentials) ([]string, error) {
	return nil, nil
}

func (d *dialer) Dial(_ context.Context, _ transport.Access, _ transport.Credentials) (transport.Transport, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dials++
	if len(d.refuse) > 0 {
		err := d.refuse[0]
		d.refuse = d.refuse[1:]
		return nil, err
	}
	return script.New(script.Rules(script.Rule{Argv: "keelway-facts", Result: transport.Result{Stdout: []byte(d.facts)}})), nil
}

func said(memoryKiB string) string {
	return "hostname h\nos debian\nos-version 12\narch x86_64\ncpus 2\nmemory-kib " + memoryKiB + "\ninit systemd\npackages apt\nroot true\nend\n"
}

var known = &v1alpha1.ServerFacts{OS: "debian", OSVersion: "12", Arch: "amd64", CPUs: 2, MemoryMiB: 4096, InitSystem: "systemd", PackageManager: "apt", Root: true}

func server(change ...func(*v1alpha1.Server)) *v1alpha1.Server {
	s := &v1alpha1.Server{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "a", UID: "uid-a", Generation: 2, Finalizers: []string{v1alpha1.Finalizer}},
		Status: v1alpha1.ServerStatus{ID: "i-1", Access: &v1alpha1.ServerAccess{Transport: "Script", Target: "i-1", Address: "127.1.0.1"},
			Conditions: []metav1.Condition{{Type: v1alpha1.ProvisionedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProvisioned, ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(noon)}}},
	}
	plan.SummariseServer(s, noon)
	for _, c := range change {
		c(s)
	}
	return s
}

func answered(s *v1alpha1.Server) {
	s.Status.Facts = known.DeepCopy()
	meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{Type: v1alpha1.ReachableCondition, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonReachable, Message: reached(s), ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(noon)})
	plan.SummariseServer(s, noon)
}

func pending(s *v1alpha1.Server) {
	s.Status.Access = nil
	s.Status.Conditions[0].Status, s.Status.Conditions[0].Reason, s.Status.Conditions[0].Message = metav1.ConditionFalse, "InProgress", "it boots"
	plan.SummariseServer(s, noon)
}

func TestReconcile(t *testing.T) {
	silent := fault.New(fault.Retry, fault.ReasonUnreachable, "connection refused")
	tests := map[string]struct {
		reason  string
		server  *v1alpha1.Server
		refuse  []error
		memory  string // in KiB; 4 GiB when empty
		dials   int
		written bool
		reach   metav1.ConditionStatus
		because string
		says    string
		facts   *v1alpha1.ServerFacts
		again   bool // by a pause of its own, not by the queue's backoff
		soon    bool // by the pause of a machine that has just begun to be silent
		looks   int  // eight seconds apart; one when zero
	}{
		"booting":          {reason: "a machine that does not run is not dialled", server: server(pending), reach: metav1.ConditionUnknown, because: v1alpha1.ReasonNotDialled},
		"leaving":          {reason: "its end is the provider's business", server: server(answered, func(s *v1alpha1.Server) { s.DeletionTimestamp = &metav1.Time{Time: noon} }), reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known},
		"answers":          {reason: "Ready comes with the facts, in one write", server: server(), dials: 1, written: true, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known, again: true},
		"answers again":    {reason: "I14: nothing is written at rest", server: server(answered), dials: 1, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known, again: true},
		"a little memory":  {reason: "a new kernel reserves another amount", server: server(answered), memory: "4100000", dials: 1, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known, again: true},
		"more memory":      {reason: "the machine was resized", server: server(answered), memory: "8388608", dials: 1, written: true, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: withMemory(8192), again: true},
		"silent":           {reason: "it says what was tried and what came back", server: server(), refuse: []error{silent}, dials: 1, written: true, reach: metav1.ConditionFalse, because: "Unreachable", says: "dialling 127.1.0.1 by Script: connection refused"},
		"a hiccup":         {reason: "one broken connection is no news", server: server(answered), refuse: []error{silent}, dials: 1, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known, soon: true},
		"two hiccups":      {reason: "its SSH server is restarted", server: server(answered), refuse: []error{silent, silent}, looks: 2, dials: 2, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known, soon: true},
		"back again":       {reason: "nobody ever heard of it", server: server(answered), refuse: []error{silent, silent}, looks: 3, dials: 3, reach: metav1.ConditionTrue, because: v1alpha1.ReasonReachable, facts: known, again: true},
		"not there":        {reason: "the provider says whether it has ended", server: server(), refuse: []error{fault.New(fault.Gone, fault.ReasonNotFound, "no directory")}, dials: 1, written: true, reach: metav1.ConditionFalse, because: "Unreachable", says: "no directory"},
		"gone silent":      {reason: "it does not answer any more", server: server(answered), refuse: []error{silent, silent, silent}, looks: 3, dials: 3, written: true, reach: metav1.ConditionFalse, because: "Unreachable", says: "refused", facts: known},
		"talks nonsense":   {reason: "no amount of asking makes it a Linux", server: server(), memory: "-3", dials: 1, written: true, reach: metav1.ConditionFalse, because: "PlatformUnsuitable", says: "memory-kib", again: true},
		"an odd last word": {reason: "what is final must be told by a reason that stops", server: server(), refuse: []error{fault.New(fault.Terminal, fault.ReasonUnreachable, "never")}, dials: 1, written: true, reach: metav1.ConditionFalse, because: "Invalid", says: "never", again: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.memory == "" {
				tc.memory = "4194304"
			}
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(tc.server).WithStatusSubresource(tc.server).Build()
			get := func() *v1alpha1.Server {
				s := &v1alpha1.Server{}
				if err := c.Get(t.Context(), client.ObjectKeyFromObject(tc.server), s); err != nil {
					t.Fatal(err)
				}
				return s
			}
			before := get()
			d := &dialer{refuse: tc.refuse, facts: said(tc.memory)}
			now := noon
			r := New(reconcile.Kit{Client: c, Live: c, Events: events.NewFakeRecorder(9), Now: func() time.Time { return now }}, connect.Connector{Dialer: d}, Options{})
			var result ctrl.Result
			var err error
			for range max(tc.looks, 1) {
				result, err = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(tc.server)})
				now = now.Add(8 * time.Second)
			}
			after := get()
			if d.dials != tc.dials || (after.ResourceVersion != before.ResourceVersion) != tc.written {
				t.Errorf("%s: %d dials, written %v", tc.reason, d.dials, after.ResourceVersion != before.ResourceVersion)
			}
			if again := err == nil && result.RequeueAfter >= 48*time.Second && result.RequeueAfter <= 72*time.Second; again != tc.again {
				t.Errorf("%s: comes back after %v, error %v", tc.reason, result.RequeueAfter, err)
			}
			if soon := err == nil && result.RequeueAfter == plan.ReachPause; soon != tc.soon {
				t.Errorf("%s: comes back after %v", tc.reason, result.RequeueAfter)
			}
			reach := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ReachableCondition)
			if reach == nil || reach.Status != tc.reach || reach.Reason != tc.because || !strings.Contains(reach.Message, tc.says) {
				t.Errorf("%s: %+v", tc.reason, reach)
			}
			if diff := cmp.Diff(tc.facts, after.Status.Facts); diff != "" {
				t.Errorf("%s: facts (-want +got):\n%s", tc.reason, diff)
			}
			for _, problem := range reconcile.Check(after) {
				t.Error(problem)
			}
			if ready := meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ReadyCondition); after.DeletionTimestamp.IsZero() && ready != (tc.reach == metav1.ConditionTrue) {
				t.Errorf("Ready is %v", ready)
			}
		})
	}
}

func withMemory(mib int64) *v1alpha1.ServerFacts {
	f := known.DeepCopy()
	f.MemoryMiB = mib
	return f
}

func TestWorthDialling(t *testing.T) {
	change := func(f func(*v1alpha1.Server)) (*v1alpha1.Server, *v1alpha1.Server) {
		return server(answered), server(answered, f)
	}
	tests := map[string]struct {
		reason string
		change func(*v1alpha1.Server)
		from   *v1alpha1.Server
		want   bool
	}{
		"our own write":     {reason: "or it would never come to rest", from: server(), change: answered},
		"another word":      {reason: "it says nothing about the machine", change: func(s *v1alpha1.Server) { s.Status.Attempt = 4 }},
		"comes up":          {reason: "now there is something to dial", from: server(pending), change: func(*v1alpha1.Server) {}, want: true},
		"goes down":         {reason: "nothing is left to dial", change: pending},
		"another address":   {reason: "it may not answer there", change: func(s *v1alpha1.Server) { s.Status.Access.Address = "127.1.0.2" }, want: true},
		"another machine":   {reason: "nothing is known of it", change: func(s *v1alpha1.Server) { s.Status.ID = "i-2" }, want: true},
		"asked to try":      {reason: "a person mended it", change: func(s *v1alpha1.Server) { s.Annotations = map[string]string{v1alpha1.AnnotationAttempt: "2"} }, want: true},
		"other annotations": {reason: "they are not for us", change: func(s *v1alpha1.Server) { s.Annotations = map[string]string{"x": "2"} }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before, after := change(tc.change)
			if tc.from != nil {
				before = tc.from
			}
			if got := worthDialling().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tc.want {
				t.Errorf("%s: %v", tc.reason, got)
			}
		})
	}
}

func TestClip(t *testing.T) {
	for text, want := range map[string]string{"arch": "arch", "debian": "debia", "üüü": "üü", "abcde\xff": "abcde"} {
		if got := clip(text, 5); got != want {
			t.Errorf("clip(%q) = %q, want %q", text, got, want)
		}
	}
}
