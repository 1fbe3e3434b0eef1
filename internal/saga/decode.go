package saga

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math"
)

// Decode reads a stored ledger. It returns *CodecUnknownError for one of another version, which must then be left alone, and
// an error that wraps ErrCorrupt for anything that Encode did not write. Whatever data holds, it takes bounded memory.
func Decode(data []byte) (*Ledger, error) {
	if len(data) < headSize || len(data) > maxStored || data[0] != magic {
		return nil, fmt.Errorf("%w: these %d bytes are no ledger", ErrCorrupt, len(data))
	}
	if version := int(data[1]); version < CodecOldest || version > CodecNewest {
		return nil, &CodecUnknownError{Found: version}
	}
	if sum := checksum(data); !bytes.Equal(sum[:], data[2:headSize]) {
		return nil, fmt.Errorf("%w: its check does not match", ErrCorrupt)
	}
	body, err := unpack(data[headSize:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	l, err := (&reader{body: body}).ledger(data[1] == codecSpans)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return l, nil
}

func unpack(data []byte) ([]byte, error) {
	packed := bytes.NewReader(data)
	body, err := io.ReadAll(io.LimitReader(flate.NewReader(packed), maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpacking: %w", err)
	case len(body) > maxBody:
		return nil, fmt.Errorf("it unpacks to more than %d bytes", maxBody)
	case packed.Len() > 0:
		return nil, fmt.Errorf("%d bytes follow it", packed.Len())
	}
	return body, nil
}

func (r *reader) ledger(spans bool) (*Ledger, error) {
	l := &Ledger{Run: int32(r.upTo(math.MaxInt32, "run")), Started: r.int(), Finished: r.int()}
	l.Phase = RunPhase(r.upTo(int(NumRunPhases)-1, "phase of the run"))
	l.SpecHash, l.Generation = r.hash(), r.int()
	names := r.hash()
	l.Compact, l.Stop = r.upTo(1, "flag") == 1, Stop(r.upTo(int(NumStops)-1, "stop"))
	for _, at := range []*int32{&l.Held, &l.HeldSince, &l.Opened, &l.Cause.Instance} {
		*at = r.short()
	}
	l.Cause.Reason, l.Cause.Message = r.text(maxReasonBytes, "cause"), r.text(MaxMessage, "cause")
	l.Refusal = r.text(MaxMessage, "refusal")
	l.RunID = r.text(MaxName, "id of the run")
	l.Handled = r.pairs(MaxHandled, MaxName, MaxValue, "verb")
	l.reasons = make([]string, r.upTo(MaxReasons+1, "reasons"))
	for n := range l.reasons {
		l.reasons[n] = r.text(maxReasonBytes, "reason")
	}
	l.forms = make([]Form, 1+r.upTo(min(MaxForms, len(r.body)/(2*len(Digest{}))), "forms"))
	for n := range l.forms[1:] {
		l.forms[n+1] = Form{Written: Digest(r.bytes(len(Digest{}))), Resolved: Digest(r.bytes(len(Digest{})))}
	}
	l.Ops = make([]Op, r.upTo(MaxOps, "operations"))
	l.grow(r.upTo(MaxInstances, "instances"))
	first := int32(0)
	for k := 0; k < len(l.Ops) && r.err == nil; k++ {
		l.Ops[k] = r.op(k, first)
		first += l.Ops[k].Count
	}
	l.Left = r.left()
	r.columns(l)
	for k := 0; spans && k < len(l.Ops); k++ {
		l.Ops[k].Span = r.text(MaxOutputs, "what instances were made of")
	}
	if r.err == nil && len(r.body) > 0 {
		r.fail("%d bytes are left over", len(r.body))
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	if names != l.NamesHash() {
		return nil, fmt.Errorf("the names of its operations are not those that it was written for")
	}
	l.recount()
	return l, nil
}

func (r *reader) op(k int, first int32) Op {
	op := Op{Name: r.text(MaxName, "name"), Type: r.text(MaxName, "type"), Child: r.text(MaxName, "kind"), First: first}
	if n := r.upTo(MaxPreds, "predecessors"); n > 0 {
		op.Preds = make([]Pred, n)
	}
	for n := range op.Preds {
		v := r.int()
		if from := int64(k) - v>>predBits; from >= 0 && from < MaxOps {
			op.Preds[n] = Pred{Op: int32(from), Soft: v&predSoft != 0, Same: v&predSame != 0}
		} else {
			r.fail("operation %q: predecessor %d does not exist", op.Name, from)
		}
	}
	op.Count = int32(r.upTo(MaxInstances-int(first), "instances of an operation"))
	op.Keys = r.keys()
	op.Outputs = r.pairs(MaxOutputs, MaxOutputs, MaxOutputs, "output")
	op.Reason, op.Message = r.text(maxReasonBytes, "reason"), r.text(MaxMessage, "message")
	op.Opened = r.short()
	return op
}

// pairs reads a map; nil when it is empty.
func (r *reader) pairs(most, keyBytes, valueBytes int, what string) map[string]string {
	n := r.upTo(most, what)
	if n == 0 {
		return nil
	}
	out := make(map[string]string, min(n, len(r.body)))
	for last := ""; n > 0 && r.err == nil; n-- {
		key := r.text(keyBytes, what)
		if len(out) > 0 && key <= last {
			r.fail("%s %q is out of order", what, key)
		}
		out[key], last = r.text(valueBytes, what), key
	}
	return out
}

// keys reads an operation's keys; each takes at least two bytes, so their number is bounded by what is left.
func (r *reader) keys() []string {
	n := r.upTo(min(MaxInstances, len(r.body)/2), "keys")
	if n == 0 {
		return nil
	}
	keys, last, all := make([]string, n), "", 0
	for i := 0; i < n && r.err == nil; i++ {
		same := r.upTo(len(last), "shared part of a key")
		last = last[:same] + string(r.bytes(r.upTo(MaxName-same, "key")))
		if keys[i], all = last, all+len(last); all > MaxKeys {
			r.fail("its keys are longer than %d bytes", MaxKeys)
		}
	}
	return keys
}

func (r *reader) left() []Left {
	n := r.upTo(min(MaxInstances, len(r.body)), "operations that were removed")
	if n == 0 {
		return nil
	}
	left := make([]Left, n)
	for k := 0; k < n && r.err == nil; k++ {
		left[k] = Left{Operation: r.text(MaxName, "name"), Child: r.text(MaxName, "kind"), Attempts: uint16(r.upTo(math.MaxUint16, "attempts")), Keys: r.keys()}
	}
	return left
}

func (r *reader) columns(l *Ledger) {
	unrepeat(r, l.Phases, int(NumPhases)-1)
	unrepeat(r, l.Attempts, math.MaxUint16)
	unrepeat(r, l.Reasons, len(l.reasons)-1)
	unrepeat(r, l.Tries, math.MaxUint16)
	unrepeat(r, l.Outcomes, int(NumPhases)-1)
	unrepeat(r, l.Forms, len(l.forms)-1)
	unrepeat(r, l.Since, math.MaxUint16)
	unrepeat(r, l.Marks, int(allMarks)-1)
	r.times(l.Starts, l.near())
	r.times(l.Begun, l.soon)
	r.times(l.Spent, func(int) int32 { return 0 })
	r.times(l.Ends, func(i int) int32 { return max(l.Starts[i], l.Begun[i]) })
	r.times(l.Retries, func(i int) int32 { return l.Starts[i] })
}

// unrepeat reads what repeats wrote.
func unrepeat[T Phase | Mark | uint8 | uint16 | uint32](r *reader, column []T, most int) {
	for i := 0; i < len(column) && r.err == nil; {
		value, run := T(r.upTo(max(most, 0), "value")), r.upTo(len(column)-i, "repeats")
		if run == 0 {
			r.fail("a value repeats 0 times")
		}
		for range run {
			column[i] = value
			i++
		}
	}
}

// times reads what writer.times wrote.
func (r *reader) times(column []int32, likely func(i int) int32) {
	low, high := make([]uint8, len(column)), make([]uint32, len(column))
	if r.upTo(1, "form of a column") == 1 {
		unrepeat(r, low, math.MaxUint8)
	} else {
		copy(low, r.bytes(len(low)))
	}
	unrepeat(r, high, math.MaxInt32>>8+1)
	for i := 0; i < len(column) && r.err == nil; i++ {
		base, v, at := int64(likely(i)), int64(high[i])<<8|int64(low[i]), int64(None)
		switch v {
		case 0:
		case 1:
			at = base - int64(r.upTo(math.MaxInt32, "time"))
		default:
			at = base + v - 2
		}
		if at < int64(None) || at > math.MaxInt32 {
			r.fail("a time is out of bounds")
			return
		}
		column[i] = int32(at)
	}
}
