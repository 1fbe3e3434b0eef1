package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Bounds of what is told about failures.
const (
	maxCauses = 5  // instances
	maxTail   = 12 // lines of a machine's output
)

// Account is what Describe tells, as data.
type Account struct {
	Name       string                     `json:"name"`
	Namespace  string                     `json:"namespace"`
	Phase      string                     `json:"phase"`
	Progress   string                     `json:"progress,omitempty"`
	Run        *v1alpha1.RunInfo          `json:"run,omitempty"`
	Message    string                     `json:"message,omitempty"`
	Operations []v1alpha1.OperationStatus `json:"operations,omitempty"`
	Why        []Cause                    `json:"why,omitempty"`
	Leftovers  []v1alpha1.Leftover        `json:"leftovers,omitempty"`
}

// Cause is why one instance failed or is tried again: the objects from it down to the machine, and the last lines that the machine printed.
type Cause struct {
	Operation string        `json:"operation"`
	Key       string        `json:"key,omitempty"`
	Phase     string        `json:"phase"`
	Attempt   int32         `json:"attempt"`
	Says      string        `json:"says,omitempty"`
	Objects   []CauseObject `json:"objects,omitempty"`
	LastWords []string      `json:"lastWords,omitempty"`
	Alike     int           `json:"alike,omitempty"` // further instances of the operation that say the same
}

// CauseObject is one step of the way down.
type CauseObject struct {
	depth  int
	Object string `json:"object"`
	Says   string `json:"says,omitempty"`
}

// Account returns what Describe tells, as data.
func (s *Snapshot) Account() Account {
	w := s.Workflow
	a := Account{Name: w.Name, Namespace: w.Namespace, Phase: phaseOf(w), Progress: w.Status.Progress, Run: w.Status.Run, Operations: w.Status.Operations, Leftovers: w.Status.Leftovers}
	a.Message = readyMessage(w)
	a.Why, _ = s.causes()
	return a
}

func readyMessage(w *v1alpha1.BatchWorkflow) string {
	ready := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ReadyCondition)
	if ready == nil {
		return ""
	}
	return ready.Reason + ": " + ready.Message
}

// Describe tells a workflow to a person: how it stands, its tree, and for what failed the way down to the root cause.
func (s *Snapshot) Describe(now time.Time, width int) []Line {
	w := s.Workflow
	lines := []Line{
		fact("Name", w.Name), fact("Namespace", w.Namespace), {Plain.Of(Pad("Phase", factWidth)), phaseStyle(w.Status.Phase).Of(phaseOf(w))},
	}
	if run := w.Status.Run; run != nil && run.StartedAt != nil {
		text := fmt.Sprintf("%d, begun %s", run.Number, run.StartedAt.UTC().Format(time.RFC3339))
		if run.FinishedAt != nil {
			text += ", ended " + run.FinishedAt.UTC().Format(time.RFC3339)
		}
		if spent, ok := s.spent(now); ok {
			text += ", " + Spell(spent)
		}
		lines = append(lines, fact("Run", text))
	}
	if text := readyMessage(w); text != "" {
		lines = append(lines, Paragraph(Pad("Message", factWidth), text, width)...)
	}
	lines = append(lines, nil)
	lines = append(lines, s.Live(now, width, 0)...)
	if causes, more := s.causes(); len(causes) > 0 {
		lines = append(lines, nil, Line{Bold.Of("Why")})
		for _, c := range causes {
			lines = append(lines, c.lines(width)...)
		}
		if more > 0 {
			lines = append(lines, Line{Dim.Of(fmt.Sprintf("  … and %d more", more))})
		}
	}
	if len(w.Status.Leftovers) > 0 {
		lines = append(lines, nil, Line{Bold.Of("Left over")})
		for _, l := range w.Status.Leftovers {
			lines = append(lines, Paragraph("  ", fmt.Sprintf("%s%s: %s", instanceOf(l.Operation, l.Key, l.ChildRef), machineOf(l), l.Message), width)...)
		}
	}
	return lines
}

const factWidth = 12

func fact(name, text string) Line { return Line{Plain.Of(Pad(name, factWidth)), Plain.Of(text)} }

func phaseOf(w *v1alpha1.BatchWorkflow) string {
	if w.Status.Phase == "" {
		return string(v1alpha1.WorkflowPending)
	}
	return string(w.Status.Phase)
}

// machineOf says where the machine of a left-over is, and what it costs, as far as that is known.
func machineOf(l v1alpha1.Leftover) (text string) {
	if l.ID != "" {
		text = fmt.Sprintf(", machine %s at %s", l.ID, l.Provider)
	}
	if l.CostPerHour != "" {
		text += fmt.Sprintf(", costs %s an hour", l.CostPerHour)
	}
	return text
}

func instanceOf(operation, key string, child *v1alpha1.ChildRef) string {
	text := operation
	if key != "" {
		text += "/" + key
	}
	if child != nil {
		text += " (" + child.Kind + " " + child.Name + ")"
	}
	return text
}

// causes are, for each instance that failed or is tried again, the objects from the workflow down to the machine and what each says.
// Instances of one operation that say the same are told once; more is how many are not told.
func (s *Snapshot) causes() (all []Cause, more int) {
	type story struct{ operation, reason, message string }
	told := map[story]int{}
	var first []*v1alpha1.OperationStatus
	for i := range s.Workflow.Status.Operations {
		o := &s.Workflow.Status.Operations[i]
		if m := markOf(o.Phase); (o.Reason == "" || m != MarkFail && m != MarkRetry && m != MarkGone && m != MarkUndo) && !s.strives(o) {
			continue
		}
		if told[story{o.Name, o.Reason, o.Message}]++; told[story{o.Name, o.Reason, o.Message}] > 1 {
			continue
		}
		if first = append(first, o); len(first) > maxCauses {
			first, more = first[:maxCauses], more+1
		}
	}
	for _, o := range first {
		c := s.cause(o)
		c.Alike = told[story{o.Name, o.Reason, o.Message}] - 1
		all = append(all, c)
	}
	return all, more
}

// strives reports whether an instance is under way with a service that fails somewhere and is tried again there.
func (s *Snapshot) strives(o *v1alpha1.OperationStatus) bool {
	if o.ChildRef == nil || o.ChildRef.Kind != "TaskService" || markOf(o.Phase) != MarkBusy {
		return false
	}
	t := s.service(o.ChildRef.Name)
	return t != nil && slices.ContainsFunc(t.Status.Servers, func(on v1alpha1.ServiceOnServer) bool { return fails(&on) })
}

// cause follows one instance down to the machine.
func (s *Snapshot) cause(o *v1alpha1.OperationStatus) Cause {
	c := Cause{Operation: o.Name, Key: o.Key, Phase: o.Phase, Attempt: o.Attempt, Says: strings.TrimPrefix(o.Reason+": "+o.Message, ": ")}
	down := func(depth int, who, says string) { c.Objects = append(c.Objects, CauseObject{depth, who, says}) }
	if o.ChildRef == nil {
		return c
	}
	name := o.ChildRef.Kind + " " + o.ChildRef.Name
	switch o.ChildRef.Kind {
	case "TaskService":
		t := s.service(o.ChildRef.Name)
		if t == nil {
			break
		}
		down(2, fmt.Sprintf("%s, %s, %d of %d ready", name, strings.ToLower(string(t.Status.Phase)), t.Status.Ready, t.Status.Total), apart(t.Status.Conditions, o.Message))
		for i := range t.Status.Servers {
			if on := &t.Status.Servers[i]; onServerMark(on) == MarkFail || onServerMark(on) == MarkRetry {
				down(3, s.machine(on.Name)+", "+onServerWords(on), on.Message)
			}
		}
		return c
	case "Run":
		r := s.run(o.ChildRef.Name)
		if r == nil {
			break
		}
		exit := ""
		if r.Status.ExitCode != nil {
			exit = fmt.Sprintf(", code %d", *r.Status.ExitCode)
		}
		down(2, name+", "+strings.ToLower(string(r.Status.Phase))+exit, apart(r.Status.Conditions, o.Message))
		if r.Spec.Target != nil {
			down(3, s.machine(r.Spec.Target.ServerRef.Name), "")
		}
		c.LastWords = tail(r.Status.Tail)
		return c
	case "Server":
		if v := s.server(o.ChildRef.Name); v != nil {
			down(2, s.machine(v.Name), apart(v.Status.Conditions, o.Message))
			return c
		}
	}
	down(2, name+", which is gone", "")
	return c
}

// lines tell a cause step by step, each one further in.
func (c Cause) lines(width int) (lines []Line) {
	down := func(depth int, who, says string) {
		head := strings.Repeat("  ", depth) + "└ "
		lines = append(lines, Paragraph(head, who, width)...)
		if says != "" {
			for _, l := range Paragraph(Pad("", 2*depth+4), says, width) {
				l[1].style = Red
				lines = append(lines, l)
			}
		}
	}
	down(1, fmt.Sprintf("operation %s, %s, attempt %d", instanceOf(c.Operation, c.Key, nil), phaseWord(c.Phase), c.Attempt), c.Says)
	for _, o := range c.Objects {
		down(o.depth, o.Object, o.Says)
	}
	if len(c.LastWords) > 0 {
		lines = append(lines, Line{Dim.Of("        the machine's last words:")})
		for _, row := range c.LastWords {
			lines = append(lines, Line{Dim.Of("        │ "), Plain.Of(row)})
		}
	}
	if c.Alike > 0 {
		lines = append(lines, Line{Dim.Of(fmt.Sprintf("    the same of %d more of %s", c.Alike, c.Operation))})
	}
	return lines
}

// apart is what an object says of itself, unless that was said already.
func apart(conditions []metav1.Condition, said string) string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition)
	if ready == nil || ready.Status == metav1.ConditionTrue || strings.Contains(ready.Message, said) && said != "" || strings.Contains(said, ready.Message) {
		return ""
	}
	return ready.Reason + ": " + ready.Message
}

// machine names a server with what is behind it.
func (s *Snapshot) machine(name string) string {
	text := "Server " + name
	v := s.server(name)
	if v == nil {
		return text
	}
	for _, part := range []string{strings.ToLower(string(v.Status.Phase)), v.Status.ID} {
		if part != "" {
			text += ", " + part
		}
	}
	if v.Status.Access != nil && v.Status.Access.Address != "" {
		text += ", " + v.Status.Access.Address
	}
	return text
}

// tail is the end of what a machine printed.
func tail(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return all[max(0, len(all)-maxTail):]
}
