package saga

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRespan: whatever a ledger holds, other instances change nothing that is known of those that go on, of the run, and of operations.
func TestRespan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLedger(t)
		was := l.Clone()
		ops, rows := slices.Clone(l.Ops), []int32(nil)
		for k := range ops {
			op := &ops[k]
			if op.Span = "a,b"; rapid.Bool().Draw(t, "stays") {
				for n := range op.Count {
					rows = append(rows, op.First+n)
				}
				continue
			}
			keys, taken := []string{}, rapid.Permutation(indices(op)).Draw(t, "order")
			for _, row := range taken[:rapid.IntRange(0, len(taken)).Draw(t, "go on")] {
				keys, rows = append(keys, l.Key(int(row))), append(rows, row)
			}
			for n := range rapid.IntRange(1, 3).Draw(t, "new") {
				keys, rows = append(keys, fmt.Sprintf("new-%d", n)), append(rows, None)
			}
			op.Keys = keys
		}
		next, err := l.Respan(ops, rows)
		must(t, err)
		if !l.Equal(was) {
			t.Fatal("the ledger itself was changed")
		}
		if next.Phase != l.Phase || next.Run != l.Run || next.SpecHash != l.SpecHash || next.Held != l.Held || next.Stop != l.Stop || next.Cause.Reason != l.Cause.Reason {
			t.Fatalf("another run: %+v", next)
		}
		for i, row := range rows {
			switch {
			case row == None && (next.Phases[i] != Pending || next.Ordered(i) || next.Starts[i] != None || next.Stands(i)):
				t.Fatalf("new row %d is not new", i)
			case row == None:
			case next.Phases[i] != l.Phases[row] || next.Attempts[i] != l.Attempts[row] || next.Form(i) != l.Form(int(row)) || next.Reason(i) != l.Reason(int(row)) ||
				next.Starts[i] != l.Starts[row] || next.Ends[i] != l.Ends[row] || next.Marks[i] != l.Marks[row] || next.Since[i] != l.Since[row] || next.Outcomes[i] != l.Outcomes[row]:
				t.Fatalf("row %d is not row %d", i, row)
			}
		}
		data, err := Encode(next)
		must(t, err)
		again, err := Decode(data)
		must(t, err)
		if !again.Equal(next) || again.total != next.total {
			t.Fatalf("read %+v, stored %+v", again, next)
		}
	})
}

func indices(op *Op) []int32 {
	out := make([]int32, op.Count)
	for n := range out {
		out[n] = op.First + int32(n)
	}
	return out
}

// TestRespanRefuses: rows of other operations are nobody's.
func TestRespanRefuses(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1}, Op{Name: "b", Count: 1})
	for name, c := range map[string]struct {
		ops  []Op
		rows []int32
	}{
		"too few rows":        {[]Op{{Name: "a", Count: 1}, {Name: "b", Count: 1}}, []int32{0}},
		"too few operations":  {[]Op{{Name: "a", Count: 1}}, []int32{0}},
		"another name":        {[]Op{{Name: "a", Count: 1}, {Name: "c", Count: 1}}, []int32{0, 1}},
		"too many instances":  {[]Op{{Name: "a", Count: 1}, {Name: "b", Count: MaxInstances}}, nil},
		"a span out of bound": {[]Op{{Name: "a", Count: 1, Span: string(make([]byte, MaxOutputs+1))}, {Name: "b", Count: 1}}, []int32{0, 1}},
	} {
		if _, err := l.Respan(c.ops, c.rows); err == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
}

// TestSpansAreANewCodec: only a ledger that holds spans is written in the codec that a former release does not read.
func TestSpansAreANewCodec(t *testing.T) {
	for span, version := range map[string]byte{"": CodecWritten, "a,b": codecSpans} {
		l := mustNew(t, Op{Name: "before", Count: 1}, Op{Name: "servers", Keys: []string{"a", "b"}, Span: span})
		data, err := Encode(l)
		must(t, err)
		if data[1] != version {
			t.Errorf("span %q is written in codec %d, want %d", span, data[1], version)
		}
		again, err := Decode(data)
		must(t, err)
		if again.Ops[1].Span != span || again.Ops[0].Span != "" {
			t.Errorf("read %q", again.Ops[1].Span)
		}
	}
}
