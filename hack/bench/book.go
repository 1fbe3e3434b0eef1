package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// book holds what was measured.
type book struct {
	machine machine
	loads   []load
	runs    map[string][]figures
}

func newBook(chosen []load, m machine) *book {
	return &book{machine: m, loads: chosen, runs: map[string][]figures{}}
}

func (b *book) add(l load, f figures) { b.runs[l.name] = append(b.runs[l.name], f) }

// columns of the table, and what they mean.
var columns = []struct{ title, meaning string }{
	{"load", "what was run"},
	{"wall", "seconds from the workflow's creation to its end, as a client sees it: median"},
	{"spread", "the least and the most of the runs"},
	{"floor", "seconds that a bare client needs for the necessary writes, in the same run: median"},
	{"ratio", "wall / floor, run by run: median"},
	{"writes/op", "writes of ours to the API server, for each instance"},
	{"KB/op", "bytes of their bodies"},
	{"CPU op", "seconds of processors that the operator used"},
	{"CPU api", "the same of API server, etcd and controller manager"},
	{"peak MiB", "of the operator's resident memory"},
	{"p50 ms", "from the end of the last operation before to the first sight of the child, where there is one"},
	{"p99 ms", "the same, at the 99th percentile"},
	{"foreign", "processors that programs kept busy which have nothing to do with it"},
}

// table is for a terminal.
func (b *book) table() string {
	rows := b.rows()
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i == 0 {
				fmt.Fprintf(&out, "%-*s", widths[i], cell)
			} else {
				fmt.Fprintf(&out, "  %*s", widths[i], cell)
			}
		}
		out.WriteByte('\n')
	}
	for _, line := range b.extras() {
		out.WriteString(line + "\n")
	}
	for _, row := range b.verdicts() {
		fmt.Fprintf(&out, "%s: %s at most %s: %s, %s\n", row[0], row[1], row[2], row[3], row[4])
	}
	out.WriteString(b.machine.words() + "\n")
	return out.String()
}

func (b *book) rows() [][]string {
	var head []string
	for _, c := range columns {
		head = append(head, c.title)
	}
	rows := [][]string{head}
	for _, l := range b.loads {
		if runs := b.runs[l.name]; len(runs) > 0 {
			rows = append(rows, row(l, runs))
		}
	}
	return rows
}

func row(l load, runs []figures) []string {
	of := func(get func(figures) float64) []float64 {
		var all []float64
		for _, f := range runs {
			all = append(all, get(f))
		}
		slices.Sort(all)
		return all
	}
	wall := of(func(f figures) float64 { return f.wall.Seconds() })
	n := float64(l.instances)
	cells := []string{
		l.name,
		fmt.Sprintf("%.2f", median(wall)),
		fmt.Sprintf("%.2f–%.2f", wall[0], wall[len(wall)-1]),
		fmt.Sprintf("%.2f", median(of(func(f figures) float64 { return f.floor.Seconds() }))),
		fmt.Sprintf("%.2f", median(of(func(f figures) float64 { return f.wall.Seconds() / f.floor.Seconds() }))),
		fmt.Sprintf("%.3f", median(of(func(f figures) float64 { return float64(f.traffic.writes) / n }))),
		fmt.Sprintf("%.2f", median(of(func(f figures) float64 { return f.traffic.bytes / n / 1000 }))),
		fmt.Sprintf("%.2f", median(of(func(f figures) float64 { return f.operator.Seconds() }))),
		fmt.Sprintf("%.2f", median(of(func(f figures) float64 { return f.api.Seconds() }))),
		fmt.Sprintf("%.0f", median(of(func(f figures) float64 { return f.peak }))),
		"", "",
		fmt.Sprintf("%.2f", median(of(func(f figures) float64 { return f.foreign }))),
	}
	if len(runs[0].starts) > 0 {
		cells[10] = fmt.Sprintf("%.0f", median(of(func(f figures) float64 { return milliseconds(at(f.starts, 50)) })))
		cells[11] = fmt.Sprintf("%.0f", median(of(func(f figures) float64 { return milliseconds(at(f.starts, 99)) })))
	}
	return cells
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// at is a percentile of what is sorted.
func at(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return all[min(len(all)-1, len(all)*percent/100)]
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// extras are the figures that only some loads have.
func (b *book) extras() (lines []string) {
	for _, l := range b.loads {
		if runs := b.runs[l.name]; len(runs) > 0 {
			lines = append(lines, fmt.Sprintf("%s: requests: %s", l.name, runs[len(runs)-1].traffic.sorts()))
		}
		values, units := map[string][]float64{}, map[string]string{}
		for _, f := range b.runs[l.name] {
			for name, e := range f.extra {
				values[name], units[name] = append(values[name], e.value), e.unit
			}
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			slices.Sort(values[name])
			lines = append(lines, fmt.Sprintf("%s: %s: %.2f %s", l.name, name, median(values[name]), units[name]))
		}
	}
	return lines
}

func (m machine) words() string {
	text := fmt.Sprintf("%d processors (%s), %.0f MiB of memory available, %s; before it began, others kept %.2f processors busy (load %s)",
		m.processors, m.model, m.memory, runtime.Version(), m.busy, m.load)
	if m.busy > quiet {
		text += ": TOO BUSY, these numbers are about the others as well"
	}
	return text
}

// page is docs/benchmarks.md.
func (b *book) page(versions string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Benchmarks\n\nWritten by `make bench` on %s: each load %d times, in turn with the others and with its floor. %s, %s, etcd with fsync, "+
		"the operator with its default settings, everything on one machine.\n\n%s.\n\n", time.Now().UTC().Format(time.DateOnly), b.rounds(), versions, runtime.Version(), b.machine.words())
	for i, row := range b.rows() {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&out, "|%s\n", strings.Repeat("---|", len(columns)))
		}
	}
	if lines := b.extras(); len(lines) > 0 {
		fmt.Fprintf(&out, "\n- %s\n", strings.Join(lines, "\n- "))
	}
	out.WriteString("\n## Targets\n\n| load | figure | at most | median | |\n|---|---|---|---|---|\n")
	for _, row := range b.verdicts() {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
	}
	if lines := b.reasons(); len(lines) > 0 {
		fmt.Fprintf(&out, "\nWhere the missed ones lose it, by CPU profiles (`go run ./hack/bench -only LOAD -profiles DIR`):\n\n- %s\n", strings.Join(lines, "\n- "))
	}
	out.WriteString("\n## What the columns mean\n\n| column | meaning |\n|---|---|\n")
	for _, c := range columns {
		fmt.Fprintf(&out, "| %s | %s |\n", c.title, c.meaning)
	}
	out.WriteString("\n## The loads\n\n| load | what it is | necessary writes |\n|---|---|---|\n")
	for _, l := range b.loads {
		fmt.Fprintf(&out, "| %s | %s | %d |\n", l.name, l.about, l.floor.necessary())
	}
	return out.String()
}

func (b *book) rounds() (n int) {
	for _, runs := range b.runs {
		n = max(n, len(runs))
	}
	return n
}
