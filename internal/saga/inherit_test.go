package saga

import (
	"testing"

	"pgregory.net/rapid"
)

// TestInherit: what stood goes on under its operation and key, with the attempts that its child was asked for, and what the present run
// did only in the same run.
func TestInherit(t *testing.T) {
	cases := map[string]struct {
		why      string
		play     func(l *Ledger)
		to       Phase
		standing Phase
		stands   bool
	}{
		"never ordered": {"nothing stands", func(*Ledger) {}, Pending, Pending, false},
		"succeeded": {"it is kept", func(l *Ledger) {
			must(t, l.OrderAs(0, formOf(1), start))
			must(t, l.Settle(0, Succeeded, start+1, "", ""))
		}, Succeeded, Succeeded, true},
		"failed": {"its child stands, and is asked again", func(l *Ledger) {
			must(t, l.OrderAs(0, formOf(1), start))
			must(t, l.Settle(0, Failed, start+1, "Invalid", "no"))
		}, Pending, Failed, true},
		"undone": {"what the run made is gone", func(l *Ledger) {
			must(t, l.OrderAs(0, formOf(1), start))
			must(t, l.Settle(0, Succeeded, start+1, "", ""))
			must(t, l.Undo(0, start+2))
			must(t, l.Settle(0, Undone, start+3, "", ""))
		}, Pending, Pending, false},
		"irreversible": {"its effect stands, as it ended", func(l *Ledger) {
			must(t, l.OrderAs(0, formOf(1), start))
			must(t, l.Settle(0, Succeeded, start+1, "", ""))
			must(t, l.Settle(0, Irreversible, start+3, "", ""))
		}, Succeeded, Succeeded, true},
	}
	for name, c := range cases {
		former := mustNew(t, Op{Name: "a", Child: "Server", Count: 1})
		c.play(former)
		next, err := New(2, start+100, Hash{}, 2, []Op{{Name: "a", Child: "Server", Count: 1}})
		must(t, err)
		must(t, next.Inherit(0, former, 0, c.to))
		must(t, next.Check())
		if former.Standing(0) != c.standing || next.Stands(0) != c.stands || next.Phases[0] != c.to || next.Attempts[0] != former.Attempts[0] || next.Marks[0] != 0 {
			t.Errorf("%s (%s): standing %s, stands %t, %s after %d attempts, marks %d", name, c.why, former.Standing(0), next.Stands(0), next.Phases[0], next.Attempts[0], next.Marks[0])
		}
		if c.stands && next.Form(0) != formOf(1) {
			t.Errorf("%s: its form is forgotten", name)
		}
	}
}

// TestPutBackStands: what stood before a run stands after its undo, in a form that is not known any more.
func TestPutBackStands(t *testing.T) {
	first := mustNew(t, Op{Name: "a", Child: "TaskService", Count: 1})
	must(t, first.OrderAs(0, formOf(1), start))
	must(t, first.Settle(0, Succeeded, start+1, "", ""))
	second, err := New(2, start+10, Hash{}, 2, []Op{{Name: "a", Child: "TaskService", Count: 1}})
	must(t, err)
	must(t, second.Inherit(0, first, 0, Pending))
	must(t, second.OrderAs(0, formOf(2), start+11))
	if !second.Marks[0].Has(Touched|Stood) || second.Since[0] != 2 {
		t.Errorf("marks %d since attempt %d", second.Marks[0], second.Since[0])
	}
	must(t, second.Settle(0, Failed, start+12, "Invalid", "no"))
	must(t, second.Undo(0, start+13))
	must(t, second.Settle(0, Undone, start+14, "", ""))
	third, err := New(3, start+20, Hash{}, 3, []Op{{Name: "a", Child: "TaskService", Count: 1}})
	must(t, err)
	must(t, third.Inherit(0, second, 0, Pending))
	if !second.Stands(0) || !third.Stands(0) || third.Form(0) != (Form{}) {
		t.Errorf("stands %t, then %t, in form %v", second.Stands(0), third.Stands(0), third.Form(0))
	}
}

// TestInheritAnything: whatever a ledger holds, the next one can go on from each of its instances, and is stored and read as it is.
func TestInheritAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		former := drawLedger(t)
		ops := make([]Op, len(former.Ops))
		for k, op := range former.Ops {
			ops[k] = Op{Name: op.Name, Type: op.Type, Child: op.Child, Preds: op.Preds, Count: op.Count, Keys: op.Keys}
		}
		next, err := New(former.Run+int32(rapid.IntRange(0, 1).Draw(t, "another run")), start, Hash{}, 1, ops)
		must(t, err)
		for i := range former.N() {
			to := Pending
			if standing := former.Standing(i); standing != Pending && rapid.Bool().Draw(t, "kept") {
				to = standing
			}
			must(t, next.Inherit(i, former, i, to))
			if next.Attempts[i] < former.Attempts[i] || next.Stands(i) != former.Stands(i) && former.Phases[i] != Undone {
				t.Fatalf("instance %d, %s: stands %t, then %t", i, former.Phases[i], former.Stands(i), next.Stands(i))
			}
		}
		data, err := Encode(next)
		must(t, err)
		again, err := Decode(data)
		must(t, err)
		if !again.Equal(next) {
			t.Fatal("it is read otherwise")
		}
	})
}

// TestLetGo: what is left is forgotten one by one, and a copy does not notice.
func TestLetGo(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1})
	l.Left = []Left{{Operation: "x", Child: "Server", Keys: []string{"a", "b"}}, {Operation: "y", Child: "Run", Keys: []string{"a"}}}
	c := l.Clone()
	l.LetGo("x", "a")
	l.LetGo("y", "a")
	l.LetGo("y", "nobody")
	if len(l.Left) != 1 || len(l.Left[0].Keys) != 1 || len(c.Left) != 2 || len(c.Left[0].Keys) != 2 {
		t.Errorf("left %v, the copy has %v", l.Left, c.Left)
	}
	if l.LetGo("x", "b"); l.Left != nil {
		t.Errorf("left %v", l.Left)
	}
}
