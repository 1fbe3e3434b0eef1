package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

func TestDeedsEndWithTheLease(t *testing.T) {
	r := newRig(t, held)
	until := time.Now().Add(20 * time.Millisecond)
	r.kit.Until = func() time.Time { return until }
	_, _ = r.run(background, nothing, func(ctx context.Context, _ *v1alpha1.Provider) error {
		select {
		case <-ctx.Done():
			if time.Now().Before(until) {
				t.Error("a step ends before the lease does")
			}
		case <-time.After(10 * time.Second):
			t.Error("a step goes on although the lease is over")
		}
		return nil
	})
}

func TestDeedsGoOnWhileTheLeaseIsRenewed(t *testing.T) {
	r := newRig(t, held)
	begun := time.Now()
	r.kit.Until = func() time.Time { // renewed once, after the first term
		if time.Since(begun) < 10*time.Millisecond {
			return begun.Add(20 * time.Millisecond)
		}
		return begun.Add(time.Hour)
	}
	result, err := r.run(background, nothing, func(ctx context.Context, p *v1alpha1.Provider) error {
		p.Status.Account = "late"
		select {
		case <-ctx.Done():
			t.Error("a step ends although the lease was renewed")
		case <-time.After(60 * time.Millisecond):
		}
		return nil
	})
	if err != nil || result == reconcile.Stale || len(r.writes) == 0 {
		t.Errorf("Run = %v, %v, writes %v: what took longer than one term is written", result, err, r.writes)
	}
}

func TestTheLeaseEndsDuringAWrite(t *testing.T) {
	r := newRig(t, held)
	until := time.Now().Add(20 * time.Millisecond)
	r.kit.Until = func() time.Time { return until }
	r.spoil = func(string) error {
		<-time.After(time.Until(until) + 10*time.Millisecond)
		return context.DeadlineExceeded
	}
	if result, err := r.run(background, nothing, nothing); err != nil || result != reconcile.Stale {
		t.Errorf("Run = %v, %v, want Stale", result, err)
	}
}

func TestAnEndedLeaseDoesNothing(t *testing.T) {
	r := newRig(t)
	r.kit.Until = func() time.Time { return time.Now().Add(-time.Second) }
	deed := func(context.Context, *v1alpha1.Provider) error { t.Error("a deed without a lease"); return nil }
	_, _ = r.run(background, deed, deed)
	if len(r.writes) != 0 {
		t.Errorf("writes without a lease: %v", r.writes)
	}
}

func TestTheLeaseEndsDuringAWalk(t *testing.T) {
	r := newRig(t, held)
	until := time.Now().Add(20 * time.Millisecond)
	r.kit.Until = func() time.Time { return until }
	result, err := r.run(background, nothing, func(ctx context.Context, p *v1alpha1.Provider) error {
		p.Status.Account = "not ours to write any more"
		<-ctx.Done()
		return ctx.Err()
	}, func(context.Context, *v1alpha1.Provider) error { t.Error("a step after the lease"); return nil })
	if err != nil || result != reconcile.Stale || len(r.writes) != 0 {
		t.Errorf("Run = %v, %v, writes %v", result, err, r.writes)
	}
}

func TestStoppingTheOperatorTellsNobody(t *testing.T) {
	r := newRig(t, held)
	ctx, stop := context.WithCancel(background)
	result, err := r.run(ctx, nothing, func(ctx context.Context, _ *v1alpha1.Provider) error {
		stop()
		return fault.During(ctx.Err(), "asking the provider")
	})
	if err != nil || result != reconcile.Stale || r.ready() != "absent" {
		t.Errorf("Run = %v, %v, Ready = %s: a restart is not the object's failure", result, err, r.ready())
	}
}

func TestAWalkThatTakesTooLongIsShown(t *testing.T) {
	r := newRig(t, held)
	ctx, stop := context.WithTimeout(background, 20*time.Millisecond) // as by ReconciliationTimeout
	defer stop()
	_, err := r.run(ctx, nothing, func(ctx context.Context, _ *v1alpha1.Provider) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if err == nil || r.ready() != "False/InternalError" {
		t.Errorf("Run = %v, Ready = %s: people must see that it does not come to an end", err, r.ready())
	}
}

func TestNoStatusWriteAfterTheLease(t *testing.T) {
	r := newRig(t, held)
	until := time.Now().Add(20 * time.Millisecond)
	r.kit.Until = func() time.Time { return until }
	result, err := r.run(background, nothing, func(ctx context.Context, _ *v1alpha1.Provider) error {
		<-ctx.Done()
		return nil // it did not look
	})
	if err != nil || result != reconcile.Stale || len(r.writes) != 0 {
		t.Errorf("Run = %v, %v, writes %v", result, err, r.writes)
	}
}
