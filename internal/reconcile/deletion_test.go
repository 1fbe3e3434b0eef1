package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

func gone(r *rig) bool {
	return r.store.Get(background, key, &v1alpha1.Provider{}) != nil
}

func TestDeletionFinalizesAndTakesNoStep(t *testing.T) {
	r := newRig(t, deleted)
	calls := 0
	finalize := func(context.Context, *v1alpha1.Provider) error {
		if calls++; calls == 1 {
			return fault.Waiting(fault.ReasonDeletionBlocked, time.Second, "in use by Server web")
		}
		return nil
	}
	step := func(context.Context, *v1alpha1.Provider) error {
		t.Error("a step of an object on its way out")
		return nil
	}
	result, err := r.run(background, finalize, step)
	if err != nil || result.RequeueAfter != time.Second || gone(r) || r.ready() != "False/DeletionBlocked" {
		t.Fatalf("Run = %v, %v; the finalizer stays until finalize has returned nil", result, err)
	}
	if result, err := r.run(background, finalize, step); err != nil || result != (ctrl.Result{}) || !gone(r) {
		t.Fatalf("Run = %v, %v; gone = %t", result, err, gone(r))
	}
	if diff := cmp.Diff([]string{"status", "metadata"}, r.writes); diff != "" {
		t.Errorf("nothing is written to an object that was let go: %s", diff)
	}
}

// A finalizer goes only after absence was confirmed (I10): nothing but nil from finalize lets the object go.
func TestTheFinalizerStays(t *testing.T) {
	for name, finalize := range map[string]step{
		"Wait":     func(context.Context, *v1alpha1.Provider) error { return fault.Waiting(fault.ReasonInProgress, 0, "x") },
		"Retry":    func(context.Context, *v1alpha1.Provider) error { return errors.New("x") },
		"Terminal": func(context.Context, *v1alpha1.Provider) error { return fault.New(fault.Terminal, "X", "x") },
		"Unknown":  func(context.Context, *v1alpha1.Provider) error { return fault.New(fault.Unknown, "X", "x") },
		"Gone": func(context.Context, *v1alpha1.Provider) error {
			return fault.New(fault.Gone, "X", "of something else")
		},
		"Conflict": func(context.Context, *v1alpha1.Provider) error { return conflict },
		"Panic":    func(context.Context, *v1alpha1.Provider) error { panic("x") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, deleted)
			result, err := r.run(background, finalize)
			if gone(r) || !slices.Contains(r.get().Finalizers, v1alpha1.Finalizer) {
				t.Fatal("the object was let go")
			}
			if err == nil && result.RequeueAfter == 0 {
				t.Error("a deletion was given up")
			}
		})
	}
}

func TestDeletionThatIsNotOurs(t *testing.T) {
	foreign := func(p *v1alpha1.Provider) { deleted(p); p.Finalizers = []string{"example.com/other"} }
	for name, finalize := range map[string]step{
		"OursIsGone": func(context.Context, *v1alpha1.Provider) error { t.Error("finalized twice"); return nil },
		"None":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, foreign)
			if result, err := r.run(background, finalize, nothing); err != nil || result != (ctrl.Result{}) || len(r.writes) != 0 {
				t.Errorf("Run = %v, %v, writes %v", result, err, r.writes)
			}
		})
	}
}

func TestReleaseKeepsOtherFinalizersAndLosesRaces(t *testing.T) {
	r := newRig(t, deleted, func(p *v1alpha1.Provider) { p.Finalizers = append(p.Finalizers, "example.com/other") })
	r.spoil = func(string) error { return conflict }
	if result, err := r.run(background, nothing); err != nil || result != reconcile.Stale {
		t.Errorf("Run = %v, %v, want Stale", result, err)
	}
	r.spoil = func(string) error { return notFound }
	if result, err := r.run(background, nothing); err != nil || result != (ctrl.Result{}) {
		t.Errorf("Run = %v, %v, want nothing", result, err)
	}
	r.spoil = nil
	if _, err := r.run(background, nothing); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"example.com/other"}, r.get().Finalizers); diff != "" {
		t.Error(diff)
	}
}

func TestReleaseAfterARecord(t *testing.T) {
	r := newRig(t, deleted)
	result, err := r.run(background, func(ctx context.Context, p *v1alpha1.Provider) error {
		p.Status.Account = "x"
		return reconcile.Record(ctx, p)
	})
	if err != nil || result != (ctrl.Result{}) || !gone(r) {
		t.Errorf("Run = %v, %v, gone = %t: the record moved the resourceVersion, and the release must know it", result, err, gone(r))
	}
}
