package saga

import (
	"encoding/binary"
	"fmt"
	"math"
)

// writer appends values to a body.
type writer struct{ body []byte }

func (w *writer) uint(v uint64) { w.body = binary.AppendUvarint(w.body, v) }
func (w *writer) int(v int64)   { w.body = binary.AppendVarint(w.body, v) }
func (w *writer) flag(v bool) {
	if v {
		w.uint(1)
	} else {
		w.uint(0)
	}
}

func (w *writer) bytes(b []byte) { w.body = append(w.body, b...) }

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.body = append(w.body, s...)
}

// reader takes values from a body. After the first thing that does not fit it remembers why and gives zeros, so that the code
// that reads needs to ask only before it allocates, and at the end.
type reader struct {
	body []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.body = nil
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.body)
	if n <= 0 {
		r.fail("a number is cut")
		return 0
	}
	r.body = r.body[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.body)
	if n <= 0 {
		r.fail("a number is cut")
		return 0
	}
	r.body = r.body[n:]
	return v
}

// short reads a number that fits into a column.
func (r *reader) short() int32 {
	v := r.int()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.fail("a number is out of bounds: %d", v)
		return 0
	}
	return int32(v)
}

// upTo reads a number that must not exceed most: what an allocation follows is always read by it.
func (r *reader) upTo(most int, what string) int {
	v := r.uint()
	if v > uint64(most) {
		r.fail("%s: %d, and at most %d is possible", what, v, most)
		return 0
	}
	return int(v)
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.body) {
		r.fail("it ends %d bytes early", n-len(r.body))
		return make([]byte, min(n, len(Hash{})))
	}
	b := r.body[:n:n]
	r.body = r.body[n:]
	return b
}

func (r *reader) hash() Hash { return Hash(r.bytes(len(Hash{}))) }

func (r *reader) text(most int, what string) string { return string(r.bytes(r.upTo(most, what))) }
