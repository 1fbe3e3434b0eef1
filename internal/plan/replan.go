package plan

import (
	"time"

	"github.com/keelway/keelway/internal/saga"
)

// Replan returns the ledger with which the workflow goes on from a former one, by what Forecast says: in the same run while that is
// not over, else in the next one. sights are by the former ledger's places. The error is Terminal where the edit can never work.
func (w *Workflow) Replan(former *saga.Ledger, sights Sights, now time.Time) (*saga.Ledger, error) {
	forecast, err := w.Forecast(former, sights)
	if err != nil {
		return nil, err
	}
	w = forecast.By
	run, started := former.Run, former.Started
	if former.Phase.Terminal() {
		run, started = former.Run+1, now.Unix()
	}
	l, err := w.ledger(run, started)
	if err != nil {
		return nil, err
	}
	if l.Handled = former.Handled; run == former.Run {
		l.Continue(former)
	}
	l.Left = forecast.Left
	l.Cause.Instance = saga.None
	for i, fate := range forecast.Fates {
		if w.ops[l.OpOf(i)].Approval != nil && fate.Do != DeedNone {
			continue // what was approved before says nothing about it
		}
		if err := take(l, i, former, fate); err != nil {
			return nil, err
		}
	}
	w.reconsider(l, former)
	return l, l.Check()
}

// take makes an instance of a new ledger what its fate says.
func take(l *saga.Ledger, i int, former *saga.Ledger, fate Fate) error {
	if fate.former == saga.None {
		if fate.anew {
			l.Reclaim(i, leftAttempts(former, l.Ops[l.OpOf(i)].Name))
		}
		return nil
	}
	if err := l.Inherit(i, former, int(fate.former), fate.Phase); err != nil {
		return err
	}
	if err := doubted(l, i, fate); err != nil {
		return err
	}
	if fate.anew {
		l.Distrust(i)
	}
	if former.Cause.Reason != "" && l.Run == former.Run && former.Cause.Instance == fate.former && fate.Do == DeedNone {
		l.Cause.Instance = int32(i)
	}
	return nil
}

// leftAttempts returns the most that anything was asked for that is left of an operation.
func leftAttempts(l *saga.Ledger, operation string) (most uint16) {
	for _, of := range l.Left {
		if of.Operation == operation {
			most = max(most, of.Attempts)
		}
	}
	return most
}

// reconsider takes over the outputs and stories of operations. What others refer to and nobody has kept yet is collected anew from the
// children. A cause that is no longer one is forgotten.
func (w *Workflow) reconsider(l, former *saga.Ledger) {
	names := make(map[string]int, len(former.Ops))
	for k := range former.Ops {
		names[former.Ops[k].Name] = k
	}
	for k := range w.ops {
		was, ok := names[w.ops[k].Name]
		if !ok || !w.ops[k].continues(&former.Ops[was]) {
			continue
		}
		l.Recall(k, former, was)
		if w.ops[k].Approval != nil && l.OpCounts(k)[saga.Succeeded] == 0 {
			l.Ops[k].Outputs = nil // it is to be given again
		}
		for key := range w.ops[k].given {
			if _, known := l.Ops[k].Outputs[key]; !known || !w.ops[k].sameKeys(&former.Ops[was]) {
				l.Ops[k].Outputs = nil
			}
		}
	}
	if l.Cause.Reason != "" && l.Cause.Instance == saga.None {
		l.Cause = saga.Cause{Instance: saga.None}
	}
}
