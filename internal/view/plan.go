package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/internal/plan"
)

// deeds are the signs of what happens to a child.
var deeds = map[plan.Deed]Span{
	plan.DeedCreate: {"+", Green}, plan.DeedUpdate: {"~", Yellow}, plan.DeedReplace: {"∓", Red}, plan.DeedDelete: {"-", Red},
	plan.DeedAdopt: {"←", Cyan}, plan.DeedNone: {"·", Dim}, plan.DeedLeave: {"○", Dim},
}

// decided is the sign of what needs no child.
var decided = Span{"▸", Cyan}

// Plan is a plan as a tree: its waves, below them the operations with what happens to their children, and below those the fields that
// change. What is known only after apply says so.
func Plan(p *plan.Preview) []Line {
	lines := []Line{{{p.Workflow, Bold}, {fmt.Sprintf("  run %d  ", p.Run), Plain}, {p.Summary(), Bold}}}
	if cost := p.Cost.String(); cost != "" {
		lines = append(lines, Line{{"cost " + cost, Plain}})
	}
	if names := p.Irreversible(); len(names) > 0 {
		lines = append(lines, Line{{"cannot be undone: " + strings.Join(names, ", "), Yellow}})
	}
	lines = append(lines, Line{{"plan " + p.Hash, Dim}})
	if p.Nothing() {
		lines = append(lines, Line{{"nothing to do: everything is as it is wanted", Green}})
	}
	names := minPlanName
	for _, op := range p.Operations {
		names = max(names, min(maxPlanName, len([]rune(op.Name))))
	}
	for i, op := range p.Operations {
		if i == 0 || op.Wave != p.Operations[i-1].Wave {
			lines = append(lines, Line{{wave(op), Bold}})
		}
		last := i == len(p.Operations)-1 || p.Operations[i+1].Wave != op.Wave
		lines = append(lines, planned(op, names, last)...)
	}
	return lines
}

// Bounds of the column of names.
const (
	minPlanName = 12
	maxPlanName = 24
)

// wave is the heading of the operations that go side by side.
func wave(op plan.PreviewOperation) string {
	if op.Type == "" {
		return "no longer in the workflow"
	}
	return fmt.Sprintf("wave %d", op.Wave)
}

// planned are the lines of one operation.
func planned(op plan.PreviewOperation, names int, last bool) (lines []Line) {
	branch, below := "├ ", "│ "
	if last {
		branch, below = "└ ", "  "
	}
	name := op.Name
	for _, part := range op.Parts {
		sign := deeds[part.Do]
		if op.Kind == "" {
			sign = decided
		}
		look := Plain
		if part.Do == plan.DeedNone || part.Do == plan.DeedLeave {
			look = Dim
		}
		lines = append(lines, Line{{branch, Dim}, sign, {" ", Plain}, {Pad(name, names) + "  ", look}, {says(op, part), look}})
		for _, row := range details(part) {
			lines = append(lines, append(Line{{below + "    ", Dim}}, row...))
		}
		name, branch = "", below
	}
	if op.When {
		lines = append(lines, Line{{below + "    ", Dim}, {"only if its condition is true, which is " + after, Dim}})
	}
	return lines
}

const after = "known after apply"

// says is what happens, in a sentence.
func says(op plan.PreviewOperation, part plan.PreviewPart) string {
	what := fmt.Sprintf("%d %ss", part.Keys.Count, op.Kind)
	switch {
	case op.Kind == "" && part.Keys.Count > 1:
		what = fmt.Sprintf("%s ×%d", op.Type, part.Keys.Count)
	case op.Kind == "":
		what = op.Type
	case part.Keys.Count == 1:
		what = "1 " + op.Kind
	}
	if op.Each != "" {
		what = fmt.Sprintf("%ss, how many is known after %s", cmp.Or(op.Kind, op.Type), op.Each)
	} else if keys := part.Keys.String(); keys != "" && op.Kind != "" {
		what += " (" + keys + ")"
	}
	switch part.Do {
	case plan.DeedNone:
		return what + " as it is"
	case plan.DeedLeave:
		if part.Keys.Count > 1 {
			return what + " stay: nobody asks for them, and prune is not set"
		}
		return what + " stays: nobody asks for it, and prune is not set"
	}
	if part.Shape != "" {
		what += ": " + part.Shape
	}
	if part.Do == plan.DeedAdopt {
		what += ", which stands without an owner"
	}
	if cost := part.Cost.String(); cost != "" {
		what += "  [" + cost + "]"
	}
	return what
}

// details are the lines below a part: its fields, what is not known yet, and what cannot be undone.
func details(part plan.PreviewPart) (lines []Line) {
	width := 0
	for _, f := range part.Fields {
		width = max(width, len([]rune(f.Field)))
	}
	for _, f := range part.Fields {
		row := Line{{Pad(f.Field, min(width, 40)) + "  ", Plain}}
		switch {
		case f.Old == "" && f.New == "": // it counts those that are not listed
		case f.Old == "":
			row = append(row, Span{"+ ", Green}, Span{f.New, Plain})
		case f.New == "":
			row = append(row, Span{"- ", Red}, Span{f.Old, Plain})
		default:
			row = append(row, Span{f.Old + " → " + f.New, Plain})
		}
		if f.Replaces {
			row = append(row, Span{"  forces replacement", Red})
		}
		lines = append(lines, row)
	}
	if part.Why != "" {
		lines = append(lines, Line{{part.Why, Plain}})
	}
	if len(part.Unknown) > 0 {
		text := after + ": " + strings.Join(part.Unknown, ", ")
		if slices.Contains([]plan.Deed{plan.DeedUpdate, plan.DeedReplace}, part.Do) {
			text += "; it may turn out that nothing is left to do"
		}
		lines = append(lines, Line{{text, Cyan}})
	}
	if part.Problem != "" {
		lines = append(lines, Line{{"will fail: " + part.Problem, Red}})
	}
	if part.Irreversible != "" {
		lines = append(lines, Line{{"cannot be undone: " + part.Irreversible, Yellow}})
	}
	return lines
}
