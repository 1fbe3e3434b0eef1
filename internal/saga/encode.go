package saga

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A stored ledger, codec 1:
//
//	magic 'K' · version · check (16 bytes) · flate(body)
//
// check is the first half of SHA-256 over magic, version and the compressed body: a flipped bit is noticed before anything is
// unpacked. The body is the head, the names' hash, the reasons, the operations, then column after column. A column of phases,
// attempts or reasons is pairs of value and how often it repeats; a column of times is differences to what is likely.
//
// Codec 2 is the same, and after the columns, for each operation, the output that its instances were made of. It is written only where
// there is one, so that any other ledger stays readable for those who know codec 1 alone.
const (
	magic    = 'K'
	headSize = 2 + len(Hash{})
	level    = 6
	// maxStored and maxBody bound what Decode takes in and unpacks. The largest ledger that Check admits stays below both.
	maxStored = maxBody
	maxBody   = 16 << 20
)

// deflaters keeps compressors, which are a megabyte each; they carry nothing from one use to the next.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, level)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// Encode stores a ledger. It fails only for one that Check refuses, which is a bug of whoever changed it: better that nothing
// is recorded, and so nothing done, than something that Decode would not read.
func Encode(l *Ledger) ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, fmt.Errorf("encoding the ledger: %w", err)
	}
	w := &writer{body: make([]byte, 0, 256+64*len(l.Ops)+4*l.N())}
	w.head(l)
	for k := range l.Ops {
		w.op(&l.Ops[k], k)
	}
	w.left(l.Left)
	w.columns(l)

	spans := w.spans(l.Ops)
	var out bytes.Buffer
	out.Grow(headSize + len(w.body)/2)
	out.Write(make([]byte, headSize))
	pack := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(pack)
	pack.Reset(&out)
	if _, err := pack.Write(w.body); err != nil {
		return nil, fmt.Errorf("encoding the ledger: %w", err)
	}
	if err := pack.Close(); err != nil {
		return nil, fmt.Errorf("encoding the ledger: %w", err)
	}
	data := out.Bytes()
	data[0], data[1] = magic, CodecWritten
	if spans {
		data[1] = codecSpans
	}
	sum := checksum(data)
	copy(data[2:], sum[:])
	return data, nil
}

// checksum covers everything but itself.
func checksum(data []byte) (sum Hash) {
	h := sha256.New()
	h.Write(data[:2])
	h.Write(data[headSize:])
	copy(sum[:], h.Sum(nil))
	return sum
}

// NamesHash hashes the names of operations in their order, so that nothing is read under the names of another workflow.
func NamesHash(names ...string) (sum Hash) {
	h := sha256.New()
	for _, name := range names {
		h.Write(binary.AppendUvarint(nil, uint64(len(name))))
		h.Write([]byte(name))
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// NamesHash returns the hash of this ledger's operations.
func (l *Ledger) NamesHash() Hash {
	names := make([]string, len(l.Ops))
	for k := range l.Ops {
		names[k] = l.Ops[k].Name
	}
	return NamesHash(names...)
}

func (w *writer) head(l *Ledger) {
	names := l.NamesHash()
	w.uint(uint64(l.Run))
	w.int(l.Started)
	w.int(l.Finished)
	w.uint(uint64(l.Phase))
	w.bytes(l.SpecHash[:])
	w.int(l.Generation)
	w.bytes(names[:])
	w.flag(l.Compact)
	w.uint(uint64(l.Stop))
	for _, at := range []int32{l.Held, l.HeldSince, l.Opened, l.Cause.Instance} {
		w.int(int64(at))
	}
	w.text(l.Cause.Reason)
	w.text(l.Cause.Message)
	w.text(l.Refusal)
	w.text(l.RunID)
	w.pairs(l.Handled)
	w.uint(uint64(len(l.reasons)))
	for _, reason := range l.reasons {
		w.text(reason)
	}
	w.uint(uint64(len(l.forms) - 1))
	for _, form := range l.forms[1:] {
		w.bytes(form.Written[:])
		w.bytes(form.Resolved[:])
	}
	w.uint(uint64(len(l.Ops)))
	w.uint(uint64(l.N()))
}

func (w *writer) op(op *Op, k int) {
	w.text(op.Name)
	w.text(op.Type)
	w.text(op.Child)
	w.uint(uint64(len(op.Preds)))
	for _, p := range op.Preds {
		bits := int64(0)
		if p.Soft {
			bits |= predSoft
		}
		if p.Same {
			bits |= predSame
		}
		w.int((int64(k)-int64(p.Op))<<predBits | bits)
	}
	w.uint(uint64(op.Count))
	w.keys(op.Keys) // none: numbered
	w.pairs(op.Outputs)
	w.text(op.Reason)
	w.text(op.Message)
	w.int(int64(op.Opened))
}

// The low bits of a stored predecessor.
const (
	predSoft = 1
	predSame = 2
	predBits = 2
)

// keys writes each key by what it adds to the one before.
func (w *writer) keys(keys []string) {
	w.uint(uint64(len(keys)))
	last := ""
	for _, key := range keys {
		same := shared(last, key)
		w.uint(uint64(same))
		w.text(key[same:])
		last = key
	}
}

func (w *writer) left(left []Left) {
	w.uint(uint64(len(left)))
	for _, of := range left {
		w.text(of.Operation)
		w.text(of.Child)
		w.uint(uint64(of.Attempts))
		w.keys(of.Keys)
	}
}

// spans writes what operations were expanded from, where any was, and reports whether it did.
func (w *writer) spans(ops []Op) bool {
	if !slices.ContainsFunc(ops, func(op Op) bool { return op.Span != "" }) {
		return false
	}
	for k := range ops {
		w.text(ops[k].Span)
	}
	return true
}

// pairs writes a map in order of its keys.
func (w *writer) pairs(of map[string]string) {
	w.uint(uint64(len(of)))
	for _, key := range slices.Sorted(maps.Keys(of)) {
		w.text(key)
		w.text(of[key])
	}
}

// shared returns how many bytes two keys begin with in common.
func shared(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (w *writer) columns(l *Ledger) {
	repeats(w, l.Phases)
	repeats(w, l.Attempts)
	repeats(w, l.Reasons)
	repeats(w, l.Tries)
	repeats(w, l.Outcomes)
	repeats(w, l.Forms)
	repeats(w, l.Since)
	repeats(w, l.Marks)
	w.times(l.Starts, l.near())
	w.times(l.Begun, l.soon)
	w.times(l.Spent, func(int) int32 { return 0 })
	w.times(l.Ends, func(i int) int32 { return max(l.Starts[i], l.Begun[i]) })
	w.times(l.Retries, func(i int) int32 { return l.Starts[i] })
}

// soon is when the time of an attempt likely began to count, on the run's clock.
func (l *Ledger) soon(i int) int32 { return max(l.Starts[i]-l.Held, 0) }

// near returns what the start of row i is close to, for i from 0 upwards: the start of the last row before it that needed a
// single attempt, because such rows start in order.
func (l *Ledger) near() func(i int) int32 {
	base := int32(0)
	return func(i int) int32 {
		if i > 0 && l.Attempts[i-1] == 1 && l.Starts[i-1] != None {
			base = l.Starts[i-1]
		}
		return base
	}
}

// repeats writes a column whose neighbours are mostly equal.
func repeats[T Phase | Mark | uint8 | uint16 | uint32](w *writer, column []T) {
	for i := 0; i < len(column); {
		run := i + 1
		for run < len(column) && column[run] == column[i] {
			run++
		}
		w.uint(uint64(column[i]))
		w.uint(uint64(run - i))
		i = run
	}
}

// times writes a column of times by their distances from what is likely. None is 0; a distance d is d+2, for it is seldom
// negative; 1 says that the distance follows at the column's end. The low bytes of all rows come first (as they are, or as
// pairs where that is shorter) and the higher ones after them, because only the low ones are hard to compress.
func (w *writer) times(column []int32, likely func(i int) int32) {
	low, high, odd := make([]uint8, len(column)), make([]uint32, len(column)), writer{}
	for i, at := range column {
		base, v := int64(likely(i)), uint64(0)
		switch d := int64(at) - base; {
		case at == None:
		case d < 0:
			v = 1
			odd.uint(uint64(-d))
		default:
			v = uint64(d) + 2
		}
		low[i], high[i] = uint8(v), uint32(v>>8)
	}
	short := &writer{}
	if repeats(short, low); len(short.body) < len(low) {
		w.uint(1)
		w.bytes(short.body)
	} else {
		w.uint(0)
		w.bytes(low)
	}
	repeats(w, high)
	w.bytes(odd.body)
}
