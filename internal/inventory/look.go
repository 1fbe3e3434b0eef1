package inventory

import (
	"context"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Look returns what Refresh does, but keeps the pace of the account: a List begins only when the pause since the last one is over, however
// many ask. For who comes earlier, wait is how soon a snapshot may be had that is evidence; it is 0 with a snapshot and with an error. So the
// first look after a deed at a quiet account is at once, and all others share the ticks. After a List that failed, who comes too early
// is told how: Retry, with the reason of that failure, and the pause until the next.
func (inv *Inventory) Look(ctx context.Context, name string, p provider.Provider, notBefore time.Time) (now Snapshot, wait time.Duration, err error) {
	if wait, err := inv.early(name, p, notBefore); wait > 0 || err != nil {
		return Snapshot{}, wait, err
	}
	now, err = inv.Refresh(ctx, name, p, notBefore)
	return now, 0, err
}

// early says how long there is no evidence to be had; 0 where there is some, or where it may be fetched.
func (inv *Inventory) early(name string, p provider.Provider, notBefore time.Time) (time.Duration, error) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	a := inv.tracked(name, p)
	now := inv.options.Now()
	switch {
	case a.have && a.last.StartedAt.After(notBefore):
		return 0, nil
	case a.flight != nil && a.flight.startedAt.After(notBefore):
		return 0, nil
	case a.flight != nil:
		return a.tick(), nil
	case !now.Before(a.next):
		return 0, nil
	case a.failures > 0:
		return 0, &fault.Error{Class: fault.Retry, Reason: fault.ReasonOf(a.failed), After: a.next.Sub(now), Err: a.failed}
	}
	return a.next.Sub(now), nil
}
