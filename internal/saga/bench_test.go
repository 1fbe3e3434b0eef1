package saga

import (
	"fmt"
	"testing"
)

var sizes = []int{1_000, 10_000, 100_000}

func each(b *testing.B, do func(b *testing.B, l *Ledger)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := simulate(b, n, 500, true, true)
			b.ReportAllocs()
			b.ResetTimer()
			do(b, l)
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	each(b, func(b *testing.B, l *Ledger) {
		size := 0
		for b.Loop() {
			data, err := Encode(l)
			must(b, err)
			size = len(data)
		}
		b.ReportMetric(float64(size), "stored-B")
	})
}

func BenchmarkDecode(b *testing.B) {
	each(b, func(b *testing.B, l *Ledger) {
		data, err := Encode(l)
		must(b, err)
		for b.Loop() {
			_, err := Decode(data)
			must(b, err)
		}
	})
}

func BenchmarkClone(b *testing.B) {
	each(b, func(b *testing.B, l *Ledger) {
		for b.Loop() {
			_ = l.Clone()
		}
	})
}

func BenchmarkEqual(b *testing.B) {
	each(b, func(b *testing.B, l *Ledger) {
		c := l.Clone()
		for b.Loop() {
			if !l.Equal(c) {
				b.Fatal("a clone differs")
			}
		}
	})
}

// BenchmarkRun takes every instance from Pending to Succeeded.
func BenchmarkRun(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			fresh := mustNew(b, Op{Name: "a", Count: int32(n)})
			b.ReportAllocs()
			for b.Loop() {
				l := fresh.Clone()
				for i := range n {
					must(b, l.Order(i, start))
					must(b, l.Settle(i, Succeeded, start+1, "", ""))
				}
			}
		})
	}
}
