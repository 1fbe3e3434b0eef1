package plan

import (
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
)

// expand turns operations into instances: how many there are, and by which keys they are known. It reports whether the rest can
// be checked at all.
func (c *compiler) expand() bool {
	total, whole := 0, true
	c.out.ops = make([]operation, len(c.out.spec.Operations))
	for k := range c.out.spec.Operations {
		spec := &c.out.spec.Operations[k]
		op := &c.out.ops[k]
		op.Operation, op.written, op.policy = spec, writtenHash(spec), spec.OnFailure
		if op.policy == "" {
			op.policy = c.out.spec.OnFailure
		}
		if op.policy == "" {
			op.policy = v1alpha1.FailureFail
		}
		for _, policy := range []*v1alpha1.UndoPolicy{c.out.spec.Undo, spec.Undo} {
			if policy != nil {
				op.undo = *policy
			}
		}
		if _, taken := c.out.index[spec.Name]; !taken {
			c.out.index[spec.Name] = k
		}
		if lack := lacks(spec); lack != "" {
			c.fault(fault.ReasonInvalid, "operation %q: %s", spec.Name, lack)
			whole = false
			continue
		}
		c.size(op)
		c.rank(op)
		op.first = total
		total += op.count
	}
	if total > MaxInstances {
		c.fault(fault.ReasonInvalid, "spec.operations: %d instances in all, and a workflow may have %d: split it", total, MaxInstances)
	}
	return whole && total <= MaxInstances
}

// lacks says what an operation needs and has not, or "". The API server's schema asks for the same; an offline validation reads
// what no API server has seen.
func lacks(op *v1alpha1.Operation) string {
	const section = "type %s needs the section %s"
	switch op.Type {
	case v1alpha1.OperationServerBatch:
		switch batch := op.ServerBatch; {
		case batch == nil:
			return fmt.Sprintf(section, op.Type, "serverBatch")
		case batch.Count != nil && *batch.Count < 1:
			return fmt.Sprintf("serverBatch.count is %d, and at least 1 is needed", *batch.Count)
		case (batch.Count == nil) == (len(batch.ForEach) == 0):
			return "serverBatch needs exactly one of count and forEach"
		}
	case v1alpha1.OperationTaskServiceBatch:
		switch batch := op.TaskServiceBatch; {
		case batch == nil:
			return fmt.Sprintf(section, op.Type, "taskServiceBatch")
		case len(batch.Recipes) == 0:
			return "taskServiceBatch.recipes is empty: name a recipe"
		}
	case v1alpha1.OperationCheck:
		switch check := op.Check; {
		case check == nil:
			return fmt.Sprintf(section, op.Type, "check")
		case check.HTTP == nil && check.TCP == nil && check.Command == nil && check.Condition == "":
			return "check needs one of http, tcp, command and condition"
		}
	case v1alpha1.OperationCommand:
		if op.Command == nil {
			return fmt.Sprintf(section, op.Type, "command")
		}
	case v1alpha1.OperationWait:
		if op.Wait == nil {
			return fmt.Sprintf(section, op.Type, "wait")
		}
	default:
		return fmt.Sprintf("type %q is not known: use ServerBatch, TaskServiceBatch, Check, Command or Wait", op.Type)
	}
	return ""
}

// size sets kind, keys and count. Operations on targets are sized once the targets are known (resolveTargets).
func (c *compiler) size(op *operation) {
	op.count = 1
	switch op.Type {
	case v1alpha1.OperationServerBatch:
		op.child = KindServer
		if op.ServerBatch.Count != nil {
			op.count = int(*op.ServerBatch.Count)
			break
		}
		for _, item := range op.ServerBatch.ForEach {
			op.keys = append(op.keys, item.Key)
		}
		op.count = len(op.keys)
		c.distinct(op, "serverBatch.forEach")
	case v1alpha1.OperationTaskServiceBatch:
		op.child = KindTaskService
		for _, recipe := range op.TaskServiceBatch.Recipes {
			op.keys = append(op.keys, recipe.Name)
		}
		op.count = len(op.keys)
		c.distinct(op, "taskServiceBatch.recipes")
	case v1alpha1.OperationCheck, v1alpha1.OperationCommand:
		if op.Check != nil && op.Check.Condition != "" {
			break // it is decided here
		}
		op.child = KindRun
		c.sizeByTarget(op)
	case v1alpha1.OperationWait:
		op.count = int(max(op.Wait.Count, 1))
	}
}

// sizeByTarget gives a Check or Command one instance for each server of the operation that it targets.
func (c *compiler) sizeByTarget(op *operation) {
	target := op.target()
	if target == nil || target.Operation == "" || target.Key != "" {
		return
	}
	from := c.find(target.Operation)
	if from < 0 || c.out.spec.Operations[from].ServerBatch == nil {
		return // resolveTarget says so
	}
	batch := c.out.spec.Operations[from].ServerBatch
	if batch.Count != nil {
		op.count = int(*batch.Count)
		return
	}
	for _, item := range batch.ForEach {
		op.keys = append(op.keys, item.Key)
	}
	op.count = len(op.keys)
}

func (c *compiler) distinct(op *operation, field string) {
	seen := make(map[string]bool, len(op.keys))
	for _, key := range op.keys {
		if seen[key] {
			c.fault(fault.ReasonDuplicateName, "operation %q: %s has the key %q twice: keys must differ", op.Name, field, key)
			return
		}
		seen[key] = true
	}
}

// target returns what the operation acts on, or nil.
func (op *operation) target() *v1alpha1.OperationTarget {
	switch {
	case op.TaskServiceBatch != nil:
		return &op.TaskServiceBatch.Targets
	case op.Check != nil:
		return op.Check.Target
	case op.Command != nil:
		return &op.Command.Target
	}
	return nil
}

// resolveTargets turns targets into names of Servers, which follow from the workflow's name alone.
func (c *compiler) resolveTargets() {
	for k := range c.out.ops {
		op := &c.out.ops[k]
		target := op.target()
		switch {
		case target == nil:
		case target.Server != "":
			op.targets = []string{target.Server}
		default:
			c.resolveTarget(k, op, target)
		}
	}
}

// maxTargets is the bound of TaskService.spec.servers.names.
const maxTargets = 256

func (c *compiler) resolveTarget(k int, op *operation, target *v1alpha1.OperationTarget) {
	field := "target"
	if op.child == KindTaskService {
		field = "taskServiceBatch.targets"
	}
	invalid := func(format string, args ...any) {
		c.fault(fault.ReasonInvalid, "operation %q: %s: "+format, append([]any{op.Name, field}, args...)...)
	}
	from := c.find(target.Operation)
	switch {
	case from < 0:
		c.fault(fault.ReasonUnknownDependency, "operation %q: %s: operation %q does not exist: name a ServerBatch of this workflow", op.Name, field, target.Operation)
		return
	case c.out.ops[from].child != KindServer:
		invalid("%q is a %s, and only a ServerBatch has servers", target.Operation, c.out.ops[from].Type)
		return
	case !c.hardBefore(from, k, op.child == KindTaskService || target.Key != ""):
		invalid("add %q, whose servers are meant, to dependsOn with type Hard%s", target.Operation, matchAll(op, target))
		return
	}
	servers := &c.out.ops[from]
	if op.child == KindTaskService && target.Key == "" && servers.count > maxTargets {
		invalid("a TaskService takes at most %d servers, and %q has %d: split it", maxTargets, target.Operation, servers.count)
		return
	}
	for n := range servers.count {
		if key := servers.key(n); target.Key == "" || target.Key == key {
			op.targets = append(op.targets, v1alpha1.ChildName(c.out.name, servers.Name, key))
		}
	}
	if len(op.targets) == 0 {
		invalid("%q has no server with the key %q", target.Operation, target.Key)
	}
}

// matchAll completes advice where instances are not one a server.
func matchAll(op *operation, target *v1alpha1.OperationTarget) string {
	if op.child == KindTaskService || target.Key != "" {
		return " and match All"
	}
	return ""
}

// nameChildren gives every instance that has a child its name, which is fixed for ever.
func (c *compiler) nameChildren() {
	last := &c.out.ops[len(c.out.ops)-1]
	c.out.names = make([]string, last.first+last.count)
	c.out.instances = map[string]int{}
	for k := range c.out.ops {
		op := &c.out.ops[k]
		if op.child == "" {
			continue
		}
		for n := range op.count {
			name := v1alpha1.ChildName(c.out.name, op.Name, op.key(n))
			c.out.names[op.first+n] = name
			c.out.instances[name] = op.first + n
		}
	}
}

// parseTexts parses what may hold references.
func parseTexts(op *v1alpha1.Operation) (t texts, err error) {
	parse := func(place, text string) (out expr.Template) {
		if err != nil {
			return out
		}
		if out, err = expr.Parse(text); err != nil {
			err = fmt.Errorf("%s: %w", place, err)
		}
		t.use(place, out.Refs())
		return out
	}
	http, tcp, command := probes(op)
	switch {
	case http != nil:
		t.address = parse("http.url", http.URL)
	case tcp != nil:
		t.address = parse("tcp.address", tcp.Address)
	case command != nil:
		for _, v := range command.Env {
			t.env = append(t.env, parse("env "+v.Name, v.Value))
		}
	case op.TaskServiceBatch != nil:
		t.parameters = map[string]expr.Document{}
		for _, recipe := range op.TaskServiceBatch.Recipes {
			if recipe.Parameters == nil || err != nil {
				continue
			}
			doc, perr := expr.ParseJSON(recipe.Parameters.Raw)
			if perr != nil {
				return t, fmt.Errorf("recipe %q: parameters: %w", recipe.Name, perr)
			}
			t.parameters[recipe.Name] = doc
			t.use(fmt.Sprintf("recipe %q: parameters", recipe.Name), doc.Refs())
		}
	}
	return t, err
}

// probes returns the one of http, tcp and command that a Check or Command has.
func probes(op *v1alpha1.Operation) (*v1alpha1.HTTPProbe, *v1alpha1.TCPProbe, *v1alpha1.CommandScript) {
	switch {
	case op.Check != nil:
		return op.Check.HTTP, op.Check.TCP, op.Check.Command
	case op.Command != nil:
		return nil, nil, &op.Command.CommandScript
	}
	return nil, nil, nil
}
