package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

var (
	background = context.Background()
	resource   = schema.GroupResource{Group: "keelway.dev", Resource: "providers"}
	conflict   = apierrors.NewConflict(resource, "p", errors.New("changed"))
	notFound   = apierrors.NewNotFound(resource, "p")
)

func held(p *v1alpha1.Provider) { p.Finalizers = []string{v1alpha1.Finalizer} }

func deleted(p *v1alpha1.Provider) {
	held(p)
	now := metav1.Now()
	p.DeletionTimestamp = &now
}

// onStatus spoils the nth status write, from 1.
func onStatus(n int, err error) func(string) error {
	count := 0
	return func(write string) error {
		if write == "status" {
			if count++; count == n {
				return err
			}
		}
		return nil
	}
}

func TestOneStatusWriteAndNoneAtRest(t *testing.T) {
	r := newRig(t)
	steps := []step{
		func(_ context.Context, p *v1alpha1.Provider) error { p.Status.Account = "a"; return nil },
		func(_ context.Context, p *v1alpha1.Provider) error { p.Status.Servers = 3; return nil },
	}
	if result, err := r.run(background, nothing, steps...); err != nil || result != (ctrl.Result{}) {
		t.Fatalf("Run = %v, %v", result, err)
	}
	if diff := cmp.Diff([]string{"metadata", "status"}, r.writes); diff != "" {
		t.Errorf("the finalizer first, then the status once: %s", diff)
	}
	p := r.get()
	if p.Status.Account != "a" || p.Status.Servers != 3 || p.Status.ObservedGeneration != 1 || r.ready() != "True/Ready" {
		t.Errorf("status = %+v", p.Status)
	}
	for range 3 {
		if _, err := r.run(background, nothing, steps...); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.writes) != 2 {
		t.Errorf("writes at rest: %v", r.writes[2:])
	}
	if got := r.heard(); len(got) != 1 {
		t.Errorf("one event for the one transition, not one a reconcile: %q", got)
	}
}

func TestFinalizerIsWrittenBeforeTheFirstStep(t *testing.T) {
	r := newRig(t)
	_, err := r.run(background, nothing, func(_ context.Context, p *v1alpha1.Provider) error {
		if !slices.Contains(r.get().Finalizers, v1alpha1.Finalizer) {
			t.Error("a step ran before the finalizer was durable")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoStepWithoutTheFinalizer(t *testing.T) {
	refused := errors.New("refused")
	cases := map[string]struct {
		reason string
		answer error
		want   ctrl.Result
		err    error
	}{
		"Conflict": {"an old copy: look again", conflict, reconcile.Stale, nil},
		"NotFound": {"the object went meanwhile: nothing to do", notFound, ctrl.Result{}, nil},
		"Refused":  {"any other error goes to the queue", refused, ctrl.Result{}, refused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.spoil = func(string) error { return tc.answer }
			result, err := r.run(background, nothing, func(context.Context, *v1alpha1.Provider) error {
				t.Error("a step ran although the finalizer could not be written")
				return nil
			})
			if result != tc.want || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("%s: Run = %v, %v", tc.reason, result, err)
			}
		})
	}
}

// A merge patch replaces the whole list: without the lock we would take away what somebody else has just added.
func TestTheFinalizerOfSomebodyElseStays(t *testing.T) {
	r := newRig(t)
	old := r.get()
	other := r.get()
	other.Finalizers = []string{"example.com/other"}
	if err := r.store.Update(background, other); err != nil {
		t.Fatal(err)
	}
	if result, err := reconcile.Run(background, r.kit, old, nothing, nothing); err != nil || result != reconcile.Stale {
		t.Errorf("Run = %v, %v, want Stale", result, err)
	}
	if diff := cmp.Diff([]string{"example.com/other"}, r.get().Finalizers); diff != "" {
		t.Error(diff)
	}
}

func TestNilFinalizeTakesNoFinalizer(t *testing.T) {
	r := newRig(t)
	if _, err := r.run(background, nil, nothing); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"status"}, r.writes); diff != "" {
		t.Error(diff)
	}
}

func TestAnErrorEndsTheWalk(t *testing.T) {
	transient := fault.New(fault.Retry, fault.ReasonTransient, "502 from the provider")
	cases := map[string]struct {
		reason string
		err    error
		result ctrl.Result
		back   bool // the error goes to the queue
		ready  string
	}{
		"Wait":     {"waiting is no error", fault.Waiting(fault.ReasonQueued, time.Second, "its turn comes"), ctrl.Result{RequeueAfter: time.Second}, false, "False/Queued"},
		"Terminal": {"nobody tries again", fault.New(fault.Terminal, fault.ReasonInvalid, "no"), ctrl.Result{}, false, "False/Invalid"},
		"Retry":    {"the queue backs off", transient, ctrl.Result{}, true, "False/Transient"},
		"Gone":     {"an object must not be forgotten", fault.New(fault.Gone, fault.ReasonNotFound, "x"), ctrl.Result{}, true, "False/NotFound"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, held)
			result, err := r.run(background, nothing, func(context.Context, *v1alpha1.Provider) error { return tc.err },
				func(context.Context, *v1alpha1.Provider) error { t.Error("a step after an error"); return nil })
			if result != tc.result || (err != nil) != tc.back || r.ready() != tc.ready {
				t.Errorf("%s: Run = %v, %v; Ready = %s", tc.reason, result, err, r.ready())
			}
			if tc.back && !errors.Is(err, tc.err) {
				t.Errorf("%s: another error: %v", tc.reason, err)
			}
		})
	}
}

func TestLosingTheCompareAndSwapIsNoError(t *testing.T) {
	r := newRig(t, held)
	_, _ = r.run(background, nothing, nothing)
	r.heard()
	result, err := reconcile.Run(background, r.kit, r.get(), nothing, func(_ context.Context, p *v1alpha1.Provider) error {
		other := r.get() // somebody else writes while we walk
		other.Status.Servers = 7
		if err := r.store.Status().Update(background, other); err != nil {
			t.Fatal(err)
		}
		p.Status.Account = "stale"
		return fault.New(fault.Terminal, fault.ReasonInvalid, "seen on an old copy")
	})
	if err != nil || result != reconcile.Stale {
		t.Errorf("Run = %v, %v, want Stale", result, err)
	}
	if p := r.get(); p.Status.Account == "stale" || p.Status.Servers != 7 {
		t.Errorf("a stale owner wrote: %+v", p.Status)
	}
	if got := r.heard(); len(got) != 0 {
		t.Errorf("events of what was never written: %q", got)
	}
}

func TestAConflictElsewhereKeepsWhatWasLearnt(t *testing.T) {
	r := newRig(t, held)
	result, err := r.run(background, nothing, func(_ context.Context, p *v1alpha1.Provider) error {
		p.Status.Account = "learnt"
		return fmt.Errorf("raising a child: %w", conflict)
	})
	if err != nil || result != reconcile.Stale {
		t.Errorf("Run = %v, %v, want Stale", result, err)
	}
	if p := r.get(); p.Status.Account != "learnt" || len(p.Status.Conditions) != 0 {
		t.Errorf("status = %+v: want what was learnt and no verdict", p.Status)
	}
}

func TestStatusWriteThatFails(t *testing.T) {
	r := newRig(t, held)
	r.spoil = onStatus(1, notFound)
	if result, err := r.run(background, nothing, nothing); err != nil || result != (ctrl.Result{}) {
		t.Errorf("the object went meanwhile: Run = %v, %v", result, err)
	}
	r.spoil = onStatus(1, apierrors.NewInternalError(errors.New("etcd")))
	if _, err := r.run(background, nothing, nothing); !apierrors.IsInternalError(err) {
		t.Errorf("Run = %v, want the error of the write", err)
	}
	if got := r.heard(); len(got) != 0 {
		t.Errorf("events of what was never written: %q", got)
	}
}

func TestRecordIsDurableBeforeTheDeed(t *testing.T) {
	r := newRig(t, held)
	_, err := r.run(background, nothing, func(ctx context.Context, p *v1alpha1.Provider) error {
		p.Status.Account = "recorded"
		if err := reconcile.Record(ctx, p); err != nil {
			return err
		}
		if got := r.get().Status.Account; got != "recorded" {
			t.Errorf("after Record the store holds %q", got)
		}
		if err := reconcile.Record(ctx, p); err != nil { // nothing changed
			return err
		}
		p.Status.Account = "half"
		panic("a nil map, say")
	})
	if fault.ReasonOf(err) != fault.ReasonPanic || fault.ClassOf(err) != fault.Retry {
		t.Errorf("a panic is a retried error: %v", err)
	}
	if got := r.get().Status.Account; got != "recorded" {
		t.Errorf("account = %q: what was recorded stays, what a broken walk had half made does not", got)
	}
	ready := reconcile.Condition(r.get(), v1alpha1.ReadyCondition)
	if ready.Reason != "Panic" || strings.Contains(ready.Message, "goroutine") {
		t.Errorf("Ready = %+v: want the panic without its stack", ready)
	}
	if diff := cmp.Diff([]string{"status", "status"}, r.writes); diff != "" {
		t.Errorf("one write for the record that changed something, one at the end: %s", diff)
	}
}

func TestRecordThatFailsEndsTheWalk(t *testing.T) {
	r := newRig(t, held)
	r.spoil = onStatus(1, conflict)
	result, err := r.run(background, nothing, func(ctx context.Context, p *v1alpha1.Provider) error {
		p.Status.Account = "x"
		return reconcile.Record(ctx, p)
	}, func(context.Context, *v1alpha1.Provider) error {
		t.Error("the deed was done although its record was refused")
		return nil
	})
	if err != nil || result != reconcile.Stale {
		t.Errorf("Run = %v, %v, want Stale", result, err)
	}
}

func TestRecordOutsideOfRun(t *testing.T) {
	if err := reconcile.Record(background, &v1alpha1.Provider{}); !errors.Is(err, reconcile.ErrNoRecord) {
		t.Errorf("Record = %v", err)
	}
}

func TestAPanicInTheSummaryStaysHere(t *testing.T) {
	r := newRig(t, held)
	_, err := r.runPart(background, part{Condition: v1alpha1.ReachableCondition, Summarise: func(*v1alpha1.Provider) { panic("no") }}, nothing, nothing)
	if fault.ReasonOf(err) != fault.ReasonPanic {
		t.Errorf("Run = %v", err)
	}
}

func TestAStepThatChangesMoreThanStatusIsReported(t *testing.T) {
	for name, stray := range map[string]func(*v1alpha1.Provider){
		"Spec":       func(p *v1alpha1.Provider) { p.Spec.Limits.MaxInFlight = 99 },
		"Annotation": func(p *v1alpha1.Provider) { p.Annotations = map[string]string{"a": "b"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, held)
			_, err := r.run(background, nothing, func(_ context.Context, p *v1alpha1.Provider) error {
				stray(p)
				p.Status.Account = "kept"
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), "only its status is written") {
				t.Errorf("Run = %v, want a complaint", err)
			}
			p := r.get()
			if p.Spec.Limits.MaxInFlight == 99 || p.Annotations != nil || p.Status.Account != "kept" {
				t.Errorf("stored: %+v", p)
			}
		})
	}
}

func TestEventsOnceATransition(t *testing.T) {
	r := newRig(t, held)
	outcome := error(nil)
	walk := func() []string {
		_, _ = r.run(background, nothing, func(context.Context, *v1alpha1.Provider) error { return outcome })
		return r.heard()
	}
	for _, tc := range []struct {
		reason string
		err    error
		want   []string
	}{
		{"the first look finds it on its way: no news", fault.Waiting(fault.ReasonInProgress, 1, "1 of 3"), nil},
		{"progress is no transition", fault.Waiting(fault.ReasonInProgress, 1, "2 of 3"), nil},
		{"another reason", fault.New(fault.Terminal, fault.ReasonInvalid, "no such size"), []string{"Warning Invalid no such size"}},
		{"the same again", fault.New(fault.Terminal, fault.ReasonInvalid, "no such size"), nil},
		{"as wanted", nil, []string{"Normal Ready "}},
		{"on its way again", fault.Waiting(fault.ReasonInProgress, 1, "3 of 3"), []string{"Normal InProgress 3 of 3"}},
	} {
		outcome = tc.err
		if diff := cmp.Diff(tc.want, walk()); diff != "" {
			t.Errorf("%s: %s", tc.reason, diff)
		}
	}
}

func TestFirstLookThatWaitsForSomebody(t *testing.T) {
	r := newRig(t, held)
	_, _ = r.run(background, nothing, func(context.Context, *v1alpha1.Provider) error {
		return fault.Waiting(fault.ReasonSecretNotFound, 1, "Secret x does not exist")
	})
	if diff := cmp.Diff([]string{"Normal SecretNotFound Secret x does not exist"}, r.heard()); diff != "" {
		t.Errorf("what a person must do is news at the first look, too: %s", diff)
	}
}

func TestPartWritesItsConditionAndTheSummary(t *testing.T) {
	r := newRig(t)
	p := part{Condition: v1alpha1.ReadyCondition, Reason: v1alpha1.ReasonProvisioned, Summarise: func(p *v1alpha1.Provider) { p.Status.Servers++ }}
	if _, err := r.runPart(background, p, nil, nothing); err != nil {
		t.Fatal(err)
	}
	if got := r.get(); r.ready() != "True/Provisioned" || got.Status.Servers != 1 {
		t.Errorf("Ready = %s, summary = %d", r.ready(), got.Status.Servers)
	}
}
