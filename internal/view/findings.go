package view

// FindingVerdict says how bad a finding is.
type FindingVerdict string

const (
	FindingGood     FindingVerdict = "Good"
	FindingDoubtful FindingVerdict = "Doubtful"
	FindingBad      FindingVerdict = "Bad"
)

// Finding is one thing that was looked at, and what to do about it.
type Finding struct {
	About   string         `json:"about"`
	Verdict FindingVerdict `json:"verdict"`
	Message string         `json:"message"`
	Advice  string         `json:"advice,omitempty"`
}

// Findings tells what was found, on a page of that width.
func Findings(all []Finding, width int) (lines []Line) {
	names := 0
	for _, f := range all {
		names = max(names, min(len([]rune(f.About)), maxName))
	}
	for _, f := range all {
		sign := Green.Of("✔ ")
		switch f.Verdict {
		case FindingDoubtful:
			sign = Yellow.Of("! ")
		case FindingBad:
			sign = Red.Of("✘ ")
		}
		for i, l := range Paragraph(Pad(f.About, names)+"  ", f.Message, max(width-2, 0)) {
			if i > 0 {
				sign = Plain.Of("  ")
			}
			lines = append(lines, append(Line{sign}, l...))
		}
		if f.Advice != "" {
			for _, l := range Paragraph(Pad("", names+2), "→ "+f.Advice, max(width-2, 0)) {
				lines = append(lines, append(Line{Plain.Of("  ")}, l...))
			}
		}
	}
	return lines
}
