package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is what a figure of a load may be at most.
type target struct {
	load, figure string
	most         float64
	of           func(l load, f figures) float64
	// why says where the time goes, or what the memory is, as a profile had it: told where the target is missed.
	why string
	// over is a load whose median of the same figure this one is divided by; "": none.
	over string
}

// medianOf is the median of the figure over the runs of a load; false when it was not measured.
func (t target) medianOf(b *book, name string) (float64, bool) {
	at := slices.IndexFunc(b.loads, func(l load) bool { return l.name == name })
	if at < 0 || len(b.runs[name]) == 0 {
		return 0, false
	}
	var all []float64
	for _, f := range b.runs[name] {
		all = append(all, t.of(b.loads[at], f))
	}
	slices.Sort(all)
	return median(all), true
}

// value is what is held against the bound; false when a load that it needs was not measured.
func (t target) value(b *book) (float64, bool) {
	value, ok := t.medianOf(b, t.load)
	if !ok || t.over == "" {
		return value, ok
	}
	below, ok := t.medianOf(b, t.over)
	return value / below, ok && below > 0
}

func wallOf(_ load, f figures) float64  { return f.wall.Seconds() }
func ratioOf(_ load, f figures) float64 { return f.wall.Seconds() / f.floor.Seconds() }
func peakOf(_ load, f figures) float64  { return f.peak }
func p99Of(_ load, f figures) float64   { return milliseconds(at(f.starts, 99)) }
func writesOf(l load, f figures) float64 {
	return float64(f.traffic.writes) / float64(l.instances)
}

// extraOf is an extra figure whose name begins so.
func extraOf(prefix string) func(load, figures) float64 {
	return func(_ load, f figures) float64 {
		for name, e := range f.extra {
			if strings.HasPrefix(name, prefix) {
				return e.value
			}
		}
		return 0
	}
}

const (
	wholeObject = "an object of 1,000 operations is written whole three times: created, given its finalizer, and told its end; the floor is two of these. " +
		"Of the API server's time 31 % are the rules in CEL over spec.operations, 29 % collecting garbage, 11 % decoding. The operator itself takes 0.1 to 0.2 s."
	fullAPIServer = "all processors are busy, five sixths of that with the API server, etcd and the controller manager, so a write waits for its turn. Of the API server's time " +
		"30 % are decoding, 19 % collecting garbage, 11 % the read before each creation that keeps a lagging cache from making a machine for a Server that is gone, 7 % rules in CEL."
	oneLook       = "the leader ends its workers and releases the lease, and the other replica looks at the lease every 0.5 to 0.6 s; then it makes its first look at everything."
	programsPages = "most of it are clean pages of the program's own file, which the kernel may take back; the line on what is anonymous above tells the rest."
)

var targets = []target{
	{load: "layers-1000-0s", figure: "wall, s", most: 0.5, of: wallOf, why: wholeObject},
	{load: "layers-1000-1ms", figure: "wall, s", most: 1, of: wallOf, why: wholeObject},
	{load: "layers-1000-1ms", figure: "writes/op", most: 0.05, of: writesOf},
	{load: "chain-100-1ms", figure: "wall, s", most: 1.5, of: wallOf},
	{load: "expanded-10000-All-1ms", figure: "wall, s", most: 2.5, of: wallOf},
	{load: "expanded-10000-SameIndex-1ms", figure: "wall, s", most: 2.5, of: wallOf},
	{load: "expanded-10000-All-1ms", figure: "times the wall of expanded-1000-All-1ms", most: 11, of: wallOf, over: "expanded-1000-All-1ms"},
	{load: "expanded-100000-All-1ms", figure: "wall, s", most: 25, of: wallOf},
	{load: "expanded-100000-SameIndex-1ms", figure: "wall, s", most: 25, of: wallOf},
	{load: "expanded-100000-All-1ms", figure: "peak, MiB", most: 250, of: peakOf},
	{load: "expanded-100000-SameIndex-1ms", figure: "peak, MiB", most: 250, of: peakOf},
	{load: "servers-1000", figure: "ratio to the floor", most: 1.25, of: ratioOf, why: fullAPIServer},
	{load: "servers-1000", figure: "writes/op", most: 3.1, of: writesOf},
	{load: "servers-1000", figure: "p99, ms", most: 50, of: p99Of, why: fullAPIServer},
	{load: "restarted-1000", figure: "kill to first new operation, s", most: 3, of: extraOf("kill to")},
	{load: "takeover-killed", figure: "to first new operation, s", most: 8, of: extraOf("signal to")},
	{load: "takeover-ended", figure: "to first new operation, s", most: 1, of: extraOf("signal to"), why: oneLook},
	{load: "beside-10000", figure: "beside / alone", most: 2, of: extraOf("small ones beside")},
	{load: "idle", figure: "writes at rest", most: 0, of: extraOf("writes at rest")},
	{load: "idle", figure: "memory at rest, MiB", most: 60, of: extraOf("memory at rest"), why: programsPages},
	{load: "resting-10000", figure: "writes at rest", most: 0, of: extraOf("writes at rest")},
	{load: "resting-10000", figure: "memory at rest, MiB", most: 200, of: extraOf("memory at rest")},
}

// verdicts are the targets of the loads that were measured: a line each, with the median.
func (b *book) verdicts() (rows [][]string) {
	for _, t := range targets {
		value, ok := t.value(b)
		if !ok {
			continue
		}
		verdict := "met"
		if value > t.most {
			verdict = "missed"
		}
		rows = append(rows, []string{t.load, t.figure, fmt.Sprintf("%g", t.most), fmt.Sprintf("%.3g", value), verdict})
	}
	return rows
}

// reasons are why targets are missed, each once.
func (b *book) reasons() (lines []string) {
	missed := map[string][]string{}
	for _, t := range targets {
		if value, ok := t.value(b); !ok || value <= t.most || t.why == "" {
			continue
		}
		if missed[t.why] == nil {
			lines = append(lines, t.why)
		}
		missed[t.why] = append(missed[t.why], t.load+" ("+t.figure+")")
	}
	for i, why := range lines {
		lines[i] = strings.Join(missed[why], ", ") + ": " + why
	}
	return lines
}
