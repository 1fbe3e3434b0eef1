// Package view knows how Keelway's objects look to people: trees, tables, graphs, pages, as values that anybody can print. It must not
// know where they come from or where they go: no client, no clock, no terminal.
package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Snapshot is what the API server says at one moment.
type Snapshot struct {
	Workflow *v1alpha1.BatchWorkflow // nil: there is none
	Servers  []v1alpha1.Server
	Services []v1alpha1.TaskService
	Runs     []v1alpha1.Run
	// Ledger counts all instances, where it could be read; nil: only those that the status lists are known.
	Ledger *saga.Ledger
}

// row is one operation, or one part of it, as people see it.
type row struct {
	path   string // names the row among all rows: etcd, etcd/servers/0
	name   string
	depth  int // 0: the operation itself
	last   bool
	mark   Mark
	start  time.Time // zero: not begun
	end    time.Time // zero: not ended
	due    time.Time // of the next attempt; zero: none
	text   string
	urgent bool // the text is a failure
	sums   bool // it sums up the rows below it
	done   int  // of its instances, where their number is known: a bar
	all    int
}

// rows makes the tree of a snapshot, in order of declaration.
func (s *Snapshot) rows() (rows []row) {
	for k := range s.Workflow.Spec.Operations {
		op := &s.Workflow.Spec.Operations[k]
		parts, waits := s.instances(op.Name)
		switch {
		case len(parts) == 0 && waits != nil:
			rows = append(rows, row{path: op.Name, name: op.Name, mark: markOf(waits.Phase), text: waiting(waits.WaitingFor)})
		case len(parts) == 0: // a status lists 64 instances: of this operation none is among them
			head := row{path: op.Name, name: op.Name, mark: MarkWait, text: string(op.Type), sums: true}
			s.counted(&head)
			rows = append(rows, head)
		case len(parts) == 1 && waits == nil && (op.Type != v1alpha1.OperationServerBatch || open(parts[0])):
			head := s.instance(op, parts[0])
			head.path, head.name, head.depth = op.Name, op.Name, 0
			rows = append(rows, head)
			rows = append(rows, s.onServers(op.Name, parts[0])...)
		default:
			rows = append(rows, s.batch(op, parts, waits)...)
		}
	}
	return rows
}

// open reports whether one entry stands for instances that nobody can name yet.
func open(o *v1alpha1.OperationStatus) bool { return strings.HasSuffix(o.Key, saga.KeyOpen) }

// instances are the listed instances of an operation, and the line that says what those wait for that are not started.
func (s *Snapshot) instances(name string) (parts []*v1alpha1.OperationStatus, waits *v1alpha1.OperationStatus) {
	for i := range s.Workflow.Status.Operations {
		o := &s.Workflow.Status.Operations[i]
		switch {
		case o.Name != name:
		case o.Phase == phasePending:
			waits = o
		default:
			parts = append(parts, o)
		}
	}
	return parts, waits
}

// batch is an operation of several instances: a row that sums up, and one an instance.
func (s *Snapshot) batch(op *v1alpha1.Operation, parts []*v1alpha1.OperationStatus, waits *v1alpha1.OperationStatus) []row {
	head := row{path: op.Name, name: op.Name, sums: true}
	rows := []row{head}
	counts := map[string]int{}
	var order []string
	total := len(parts)
	for i, o := range parts {
		r := s.instance(op, o)
		r.last = i == len(parts)-1
		rows = append(rows, r)
		if counts[o.Phase]++; counts[o.Phase] == 1 {
			order = append(order, o.Phase)
		}
		rows[0].mark = max(rows[0].mark, r.mark)
		if rows[0].start.IsZero() || !r.start.IsZero() && r.start.Before(rows[0].start) {
			rows[0].start = r.start
		}
		if r.end.After(rows[0].end) {
			rows[0].end = r.end
		}
	}
	if op.ServerBatch != nil && op.ServerBatch.Count != nil {
		total = max(total, int(*op.ServerBatch.Count))
	}
	if rows[0].mark.busy() || waits != nil {
		rows[0].end = time.Time{}
	}
	if s.counted(&rows[0]) {
		if waits != nil && len(waits.WaitingFor) > 0 && strings.HasSuffix(rows[0].text, phaseWord(phasePending)) {
			rows[0].text += " for " + awaited(waits.WaitingFor)
		}
		return rows
	}
	var said []string
	for _, phase := range order {
		said = append(said, fmt.Sprintf("%d of %d %s", counts[phase], total, phaseWord(phase)))
	}
	if waits != nil {
		said = append(said, "the rest "+waiting(waits.WaitingFor))
		rows[0].mark = max(rows[0].mark, MarkBusy)
	}
	rows[0].text = strings.Join(said, ", ")
	return rows
}

// counted tells a batch by the ledger, which knows every instance.
func (s *Snapshot) counted(head *row) bool {
	if s.Ledger == nil {
		return false
	}
	k := s.Ledger.Find(head.name)
	if k < 0 {
		return false
	}
	counts := s.Ledger.OpCounts(k)
	head.mark, head.text = standing(counts)
	head.done, head.all = int(counts.Settled()), int(counts.Total())
	if !head.mark.busy() {
		return true
	}
	head.end = time.Time{}
	return true
}

// instance is one instance of an operation.
func (s *Snapshot) instance(op *v1alpha1.Operation, o *v1alpha1.OperationStatus) row {
	r := row{path: op.Name + "/" + o.Key, name: o.Key, depth: 1, mark: markOf(o.Phase)}
	if o.StartedAt != nil {
		r.start = o.StartedAt.Time
	}
	if o.FinishedAt != nil && !r.mark.busy() {
		r.end = o.FinishedAt.Time
	}
	if o.NextAttemptAt != nil && r.mark == MarkRetry {
		r.due = o.NextAttemptAt.Time
	}
	r.text, r.urgent = s.says(op, o, r.mark)
	return r
}

// says tells how an instance stands.
func (s *Snapshot) says(op *v1alpha1.Operation, o *v1alpha1.OperationStatus, m Mark) (text string, urgent bool) {
	var said []string
	add := func(text string) {
		if text != "" {
			said = append(said, text)
		}
	}
	if m == MarkAsk && op.Approval != nil {
		return strings.TrimSuffix(phaseWord(o.Phase)+": "+op.Approval.Message, ": "), false
	}
	if m != MarkDone || o.Attempt > 1 {
		attempt := ""
		if o.Attempt > 1 || m == MarkRetry || m == MarkFail {
			attempt = ", attempt " + fmt.Sprint(o.Attempt)
			if op.Retry != nil {
				attempt += fmt.Sprintf(" of %d", op.Retry.Limit+1)
			}
		}
		add(phaseWord(o.Phase) + attempt)
	}
	if m == MarkDone || m == MarkBusy {
		add(s.detail(op, o))
	}
	switch {
	case m == MarkFail || m == MarkRetry || m == MarkGone && o.Reason != "":
		add(strings.TrimPrefix(o.Reason+": "+o.Message, ": "))
		urgent = true
	case len(o.WaitingFor) > 0:
		add(waiting(o.WaitingFor))
	case m != MarkDone && op.TaskServiceBatch == nil: // what a service says stands with its servers
		add(o.Message)
	}
	return strings.Join(said, ": "), urgent
}

// detail says what the child is, in a few words.
func (s *Snapshot) detail(op *v1alpha1.Operation, o *v1alpha1.OperationStatus) string {
	if op.Approval != nil && o.ApprovedBy != "" {
		return "approved by " + o.ApprovedBy
	}
	if o.ChildRef == nil {
		return ""
	}
	name := o.ChildRef.Name
	switch {
	case op.ServerBatch != nil:
		if v := s.server(name); v != nil && v.Status.Access != nil {
			return v.Status.Access.Address
		}
	case op.TaskServiceBatch != nil:
		if t := s.service(name); t != nil {
			what := strings.TrimSpace(t.Spec.Recipe + " " + t.Status.Version)
			return fmt.Sprintf("%s on %d of %d servers", what, t.Status.Ready, t.Status.Total)
		}
	default:
		if r := s.run(name); r != nil && o.Phase == "Succeeded" {
			return lastLine(r.Status.Tail)
		}
	}
	return ""
}

// onServers are the rows of a service, one a server.
func (s *Snapshot) onServers(operation string, o *v1alpha1.OperationStatus) (rows []row) {
	if o.ChildRef == nil {
		return nil
	}
	t := s.service(o.ChildRef.Name)
	if t == nil {
		return nil
	}
	for i := range t.Status.Servers {
		on := &t.Status.Servers[i]
		r := row{name: s.ServerName(on.Name), depth: 1, last: i == len(t.Status.Servers)-1, mark: onServerMark(on), text: onServerWords(on)}
		if r.mark == MarkRetry && on.NextTry != nil {
			r.due = on.NextTry.Time
		}
		r.path = operation + "/" + r.name
		if on.Phase == v1alpha1.ServiceReady && on.Version != "" {
			r.text += ", version " + on.Version
		}
		if on.Message != "" {
			r.text += ": " + on.Message
			r.urgent = r.mark == MarkFail || r.mark == MarkRetry
		}
		rows = append(rows, r)
	}
	return rows
}

// ServerName is short: operation/key of the instance that made the server.
func (s *Snapshot) ServerName(name string) string {
	if v := s.server(name); v != nil && v.Labels[v1alpha1.LabelOperation] != "" {
		return v.Labels[v1alpha1.LabelOperation] + "/" + v.Labels[v1alpha1.LabelKey]
	}
	return name
}

func (s *Snapshot) server(name string) *v1alpha1.Server {
	for i := range s.Servers {
		if s.Servers[i].Name == name {
			return &s.Servers[i]
		}
	}
	return nil
}

func (s *Snapshot) service(name string) *v1alpha1.TaskService {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

func (s *Snapshot) run(name string) *v1alpha1.Run {
	for i := range s.Runs {
		if s.Runs[i].Name == name {
			return &s.Runs[i]
		}
	}
	return nil
}
