package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// snapshot is what the API server says at one moment.
type snapshot struct {
	workflow *v1alpha1.BatchWorkflow // nil: there is none
	servers  []v1alpha1.Server
	services []v1alpha1.TaskService
	runs     []v1alpha1.Run
}

// row is one operation, or one part of it, as people see it.
type row struct {
	path   string // names the row among all rows: etcd, etcd/servers/0
	name   string
	depth  int // 0: the operation itself
	last   bool
	mark   mark
	start  time.Time // zero: not begun
	end    time.Time // zero: not ended
	due    time.Time // of the next attempt; zero: none
	text   string
	urgent bool // the text is a failure
}

// rows makes the tree of a snapshot, in order of declaration.
func (s *snapshot) rows() (rows []row) {
	for k := range s.workflow.Spec.Operations {
		op := &s.workflow.Spec.Operations[k]
		parts, waits := s.instances(op.Name)
		switch {
		case len(parts) == 0 && waits != nil:
			rows = append(rows, row{path: op.Name, name: op.Name, mark: markOf(waits.Phase), text: waiting(waits.WaitingFor)})
		case len(parts) == 0:
			rows = append(rows, row{path: op.Name, name: op.Name, mark: markWait, text: string(op.Type)})
		case len(parts) == 1 && waits == nil && op.Type != v1alpha1.OperationServerBatch:
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

// instances are the listed instances of an operation, and the line that says what those wait for that are not started.
func (s *snapshot) instances(name string) (parts []*v1alpha1.OperationStatus, waits *v1alpha1.OperationStatus) {
	for i := range s.workflow.Status.Operations {
		o := &s.workflow.Status.Operations[i]
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
func (s *snapshot) batch(op *v1alpha1.Operation, parts []*v1alpha1.OperationStatus, waits *v1alpha1.OperationStatus) []row {
	head := row{path: op.Name, name: op.Name}
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
	var said []string
	for _, phase := range order {
		said = append(said, fmt.Sprintf("%d of %d %s", counts[phase], total, phaseWord(phase)))
	}
	if waits != nil {
		said = append(said, "the rest "+waiting(waits.WaitingFor))
		rows[0].mark = max(rows[0].mark, markBusy)
	}
	rows[0].text = strings.Join(said, ", ")
	return rows
}

// instance is one instance of an operation.
func (s *snapshot) instance(op *v1alpha1.Operation, o *v1alpha1.OperationStatus) row {
	r := row{path: op.Name + "/" + o.Key, name: o.Key, depth: 1, mark: markOf(o.Phase)}
	if o.StartedAt != nil {
		r.start = o.StartedAt.Time
	}
	if o.FinishedAt != nil && !r.mark.busy() {
		r.end = o.FinishedAt.Time
	}
	if o.NextAttemptAt != nil && r.mark == markRetry {
		r.due = o.NextAttemptAt.Time
	}
	r.text, r.urgent = s.says(op, o, r.mark)
	return r
}

// says tells how an instance stands.
func (s *snapshot) says(op *v1alpha1.Operation, o *v1alpha1.OperationStatus, m mark) (text string, urgent bool) {
	var said []string
	add := func(text string) {
		if text != "" {
			said = append(said, text)
		}
	}
	if m != markDone || o.Attempt > 1 {
		attempt := ""
		if o.Attempt > 1 || m == markRetry || m == markFail {
			attempt = ", attempt " + fmt.Sprint(o.Attempt)
			if op.Retry != nil {
				attempt += fmt.Sprintf(" of %d", op.Retry.Limit+1)
			}
		}
		add(phaseWord(o.Phase) + attempt)
	}
	if m == markDone || m == markBusy {
		add(s.detail(op, o))
	}
	switch {
	case m == markFail || m == markRetry || m == markGone && o.Reason != "":
		add(strings.TrimPrefix(o.Reason+": "+o.Message, ": "))
		urgent = true
	case len(o.WaitingFor) > 0:
		add(waiting(o.WaitingFor))
	case m != markDone && op.TaskServiceBatch == nil: // what a service says stands with its servers
		add(o.Message)
	}
	return strings.Join(said, ": "), urgent
}

// detail says what the child is, in a few words.
func (s *snapshot) detail(op *v1alpha1.Operation, o *v1alpha1.OperationStatus) string {
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
func (s *snapshot) onServers(operation string, o *v1alpha1.OperationStatus) (rows []row) {
	if o.ChildRef == nil {
		return nil
	}
	t := s.service(o.ChildRef.Name)
	if t == nil {
		return nil
	}
	for i := range t.Status.Servers {
		on := &t.Status.Servers[i]
		r := row{name: s.serverName(on.Name), depth: 1, last: i == len(t.Status.Servers)-1, mark: serviceMark(on.Phase), text: serviceWords[on.Phase]}
		r.path = operation + "/" + r.name
		if on.Phase == v1alpha1.ServiceReady && on.Version != "" {
			r.text += ", version " + on.Version
		}
		if on.Message != "" {
			r.text += ": " + on.Message
			r.urgent = r.mark == markFail
		}
		rows = append(rows, r)
	}
	return rows
}

// serverName is short: operation/key of the instance that made the server.
func (s *snapshot) serverName(name string) string {
	if v := s.server(name); v != nil && v.Labels[v1alpha1.LabelOperation] != "" {
		return v.Labels[v1alpha1.LabelOperation] + "/" + v.Labels[v1alpha1.LabelKey]
	}
	return name
}

func (s *snapshot) server(name string) *v1alpha1.Server {
	for i := range s.servers {
		if s.servers[i].Name == name {
			return &s.servers[i]
		}
	}
	return nil
}

func (s *snapshot) service(name string) *v1alpha1.TaskService {
	for i := range s.services {
		if s.services[i].Name == name {
			return &s.services[i]
		}
	}
	return nil
}

func (s *snapshot) run(name string) *v1alpha1.Run {
	for i := range s.runs {
		if s.runs[i].Name == name {
			return &s.runs[i]
		}
	}
	return nil
}
