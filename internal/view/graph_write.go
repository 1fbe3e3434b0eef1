package view

import (
	"fmt"
	"html"
	"strings"
)

// paint is how a state looks where there are colours for fills: as light and dark enough to be read on either.
type paint struct{ class, fill, line string }

var paints = map[Mark]paint{
	MarkOff:   {"off", "#eceff1", "#90a4ae"},
	MarkGone:  {"gone", "#e0f2f1", "#00897b"},
	MarkDone:  {"done", "#dff3e1", "#2e7d32"},
	MarkWait:  {"wait", "#ffffff", "#90a4ae"},
	MarkBusy:  {"busy", "#dceefb", "#0277bd"},
	MarkUndo:  {"undo", "#fff3d6", "#b26a00"},
	MarkRetry: {"retry", "#fff3d6", "#b26a00"},
	MarkAsk:   {"ask", "#fff3d6", "#b26a00"},
	MarkFail:  {"fail", "#fde0df", "#c62828"},
}

// order of the marks in legends and class lists.
var order = []Mark{MarkWait, MarkAsk, MarkBusy, MarkRetry, MarkDone, MarkFail, MarkUndo, MarkGone, MarkOff}

func (n Node) paint() paint {
	if !n.Known {
		return paints[MarkWait]
	}
	return paints[n.Mark]
}

// lines of a node's box.
func (n Node) lines() []string {
	lines := []string{n.Name, n.kind()}
	if n.State != "" {
		lines = append(lines, n.State)
	}
	return lines
}

// DOT writes the graph for Graphviz.
func (g Graph) DOT() string {
	var out strings.Builder
	fmt.Fprintf(&out, "digraph %s {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n", quoteDOT(g.Name))
	for i, n := range g.Nodes {
		p := n.paint()
		fmt.Fprintf(&out, "  o%d [label=%s, fillcolor=\"%s\", color=\"%s\"];\n", i, quoteDOT(strings.Join(n.lines(), "\n")), p.fill, p.line)
	}
	for _, e := range g.Edges {
		attributes := ""
		if label := e.label("", ""); label != "" {
			attributes = fmt.Sprintf(" [style=dashed, label=%s]", quoteDOT(label))
		}
		fmt.Fprintf(&out, "  o%d -> o%d%s;\n", e.From, e.To, attributes)
	}
	out.WriteString("}\n")
	return out.String()
}

func quoteDOT(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// Mermaid writes the graph for pages that draw it, such as Markdown on GitHub.
func (g Graph) Mermaid() string {
	var out strings.Builder
	out.WriteString("flowchart LR\n")
	for i, n := range g.Nodes {
		text := make([]string, 0, 3)
		for _, line := range n.lines() {
			text = append(text, html.EscapeString(line))
		}
		fmt.Fprintf(&out, "  o%d[\"%s\"]:::%s\n", i, strings.Join(text, "<br/>"), n.paint().class)
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if label := e.label("", ""); label != "" {
			arrow = "-. " + label + " .->"
		}
		fmt.Fprintf(&out, "  o%d %s o%d\n", e.From, arrow, e.To)
	}
	for _, m := range order {
		p := paints[m]
		fmt.Fprintf(&out, "  classDef %s fill:%s,stroke:%s,color:#1b1b1b\n", p.class, p.fill, p.line)
	}
	return out.String()
}

// Measures of the SVG, in pixels.
const (
	boxWidth, boxHeight = 270, 66
	gapX, gapY          = 70, 22
	margin              = 20
	boxText, boxHead    = 31, 28 // letters of a line, which fit also where the wider fonts are all that there is
)

// SVG draws the graph as a picture of its own: waves from left to right, states by colour.
func (g Graph) SVG() string {
	at, tallest := make([][2]int, len(g.Nodes)), 0
	for _, row := range g.Waves {
		tallest = max(tallest, len(row))
	}
	height := margin*2 + max(tallest, 1)*(boxHeight+gapY) - gapY
	width := margin*2 + max(len(g.Waves), 1)*(boxWidth+gapX) - gapX
	for wave, row := range g.Waves {
		top := (height - len(row)*(boxHeight+gapY) + gapY) / 2
		for i, k := range row {
			at[k] = [2]int{margin + wave*(boxWidth+gapX), top + i*(boxHeight+gapY)}
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&out, "<title>%s</title>\n", html.EscapeString(g.Name))
	out.WriteString(`<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="#607d8b"/></marker></defs>` + "\n")
	fmt.Fprintf(&out, "<rect width=\"%d\" height=\"%d\" fill=\"#fafafa\"/>\n", width, height)
	for _, e := range g.Edges {
		g.curve(&out, e, at[e.From], at[e.To])
	}
	for i, n := range g.Nodes {
		n.box(&out, at[i])
	}
	out.WriteString("</svg>\n")
	return out.String()
}

func (g Graph) curve(out *strings.Builder, e Link, from, to [2]int) {
	x1, y1, x2, y2 := from[0]+boxWidth, from[1]+boxHeight/2, to[0]-2, to[1]+boxHeight/2
	dashes := ""
	if e.Soft || e.Same {
		dashes = ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(out, "<path d=\"M%d %dC%d %d %d %d %d %d\" fill=\"none\" stroke=\"#607d8b\" stroke-width=\"1.4\"%s marker-end=\"url(#tip)\">", x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2, dashes)
	fmt.Fprintf(out, "<title>%s → %s%s</title></path>\n", html.EscapeString(g.Nodes[e.From].Name), html.EscapeString(g.Nodes[e.To].Name), e.label(" (", ")"))
}

func (n Node) box(out *strings.Builder, at [2]int) {
	p := n.paint()
	fmt.Fprintf(out, "<g class=\"%s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\" fill=\"%s\" stroke=\"%s\" stroke-width=\"1.6\"/>", p.class, at[0], at[1], boxWidth, boxHeight, p.fill, p.line)
	for i, line := range n.lines() {
		weight, colour, letters := "normal", "#455a64", boxText
		if i == 0 {
			weight, colour, letters = "bold", "#1b1b1b", boxHead
		}
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\" font-weight=\"%s\" fill=\"%s\">%s</text>", at[0]+12, at[1]+20+i*18, weight, colour, html.EscapeString(shorten(line, letters)))
	}
	whole := n.lines()
	if n.When != "" {
		whole = append(whole, "when "+n.When)
	}
	fmt.Fprintf(out, "<title>%s</title>", html.EscapeString(strings.Join(whole, "\n")))
	out.WriteString("</g>\n")
}

// shorten cuts text to n letters, and shows that it did.
func shorten(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
