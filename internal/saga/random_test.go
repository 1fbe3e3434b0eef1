package saga

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// Every generator goes through New and the verbs, so that what is tested is what plan can make.

const start = int64(1_800_000_000)

func mustNew(t failer, ops ...Op) *Ledger {
	l, err := New(1, start, Hash{1}, 3, ops)
	if err != nil {
		t.Fatal("making a ledger:", err)
	}
	return l
}

// failer is what *testing.T, *testing.B and *rapid.T have in common.
type failer interface{ Fatal(args ...any) }

func must(t failer, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func drawOps(t *rapid.T) []Op {
	n := rapid.IntRange(0, 6).Draw(t, "operations")
	ops := make([]Op, n)
	for k := range ops {
		op := Op{Name: fmt.Sprintf("op-%d", k), Type: rapid.SampledFrom([]string{"ServerBatch", "Check", ""}).Draw(t, "type")}
		op.Child = rapid.SampledFrom([]string{"Server", "Run", ""}).Draw(t, "child")
		for range rapid.IntRange(0, 3).Draw(t, "preds") {
			op.Preds = append(op.Preds, Pred{Op: int32(rapid.IntRange(0, n-1).Draw(t, "pred")), Soft: rapid.Bool().Draw(t, "soft"), Same: rapid.Bool().Draw(t, "same")})
		}
		if op.Count = int32(rapid.IntRange(0, 9).Draw(t, "count")); rapid.Bool().Draw(t, "keyed") {
			op.Keys = rapid.SliceOfN(rapid.StringN(0, 5, 60), int(op.Count), int(op.Count)).Draw(t, "keys")
		}
		ops[k] = op
	}
	return ops
}

// drawLedger makes a ledger and takes random steps in it, most of which are legal.
func drawLedger(t *rapid.T) *Ledger {
	l, err := New(int32(rapid.IntRange(0, 1<<30).Draw(t, "run")), start, Hash{7}, rapid.Int64().Draw(t, "generation"), drawOps(t))
	if err != nil {
		t.Fatalf("making a ledger: %v", err)
	}
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		if l.N() > 0 {
			step(t, l)
		}
	}
	if rapid.Bool().Draw(t, "left") {
		l.Left = []Left{{Operation: "gone", Child: "Run", Keys: rapid.SliceOfN(rapid.StringN(0, 5, 60), 1, 5).Draw(t, "left keys"), Attempts: 2}}
	}
	for k := range l.Ops {
		if rapid.IntRange(0, 3).Draw(t, "has outputs") == 0 {
			must(t, l.SetOutputs(k, rapid.MapOfN(rapid.StringN(0, 5, 20), rapid.StringN(0, 9, 40), 0, 4).Draw(t, "outputs")))
		}
	}
	if rapid.Bool().Draw(t, "ends") {
		to := rapid.SampledFrom([]RunPhase{RunUndoing, RunSucceeded, RunFailed}).Draw(t, "run phase")
		must(t, l.SetRun(to, start+rapid.Int64Range(-5, 1e6).Draw(t, "end")))
	}
	return l
}

// step tries one verb on one instance; refusals are part of the game.
func step(t *rapid.T, l *Ledger) error {
	i := rapid.IntRange(0, l.N()-1).Draw(t, "instance")
	now := start + rapid.Int64Range(-10, 100_000).Draw(t, "now")
	reason := rapid.SampledFrom([]string{"", "TimedOut", "Invalid", "QuotaExceeded"}).Draw(t, "reason")
	message := rapid.SampledFrom([]string{"", "no", strings.Repeat("é", 400)}).Draw(t, "message")
	switch rapid.IntRange(0, 10).Draw(t, "verb") {
	case 0:
		err := l.OrderAs(i, formOf(rapid.IntRange(0, 3).Draw(t, "form")), now)
		if err == nil && rapid.Bool().Draw(t, "replaces") {
			l.Replace(i)
		}
		return err
	case 1:
		l.Begin(i, now)
		return nil
	case 2:
		return l.Postpone(i, now, reason, message)
	case 3:
		return l.Settle(i, Phase(rapid.IntRange(0, int(NumPhases)).Draw(t, "to")), now, reason, message)
	}
	switch rapid.IntRange(0, 6).Draw(t, "verb") {
	case 0:
		return l.PostponeUndo(i, now, reason, message)
	case 1:
		return l.OrderUndo(i, now)
	case 2:
		return l.Again(i)
	case 3:
		l.Rest(i, now)
		return nil
	case 4:
		l.Hold(now)
		l.Open(l.OpOf(i), now)
		return nil
	case 5:
		l.Resume(now)
		l.Handle("retry", reason)
		return nil
	}
	return l.Undo(i, now)
}
