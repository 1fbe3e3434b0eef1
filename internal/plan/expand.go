package plan

import (
	"fmt"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
)

// expand turns operations into instances: how many there are, and by which keys they are known. It reports whether the rest can
// be checked at all.
func (c *compiler) expand() bool {
	total, whole := 0, true
	c.out.ops = make([]operation, len(c.out.spec.Operations))
	for k := range slices.Backward(c.out.ops) {
		c.out.index[c.out.spec.Operations[k].Name] = k
	}
	for k := range c.out.spec.Operations {
		spec := &c.out.spec.Operations[k]
		op := &c.out.ops[k]
		op.Operation = spec
		op.policies(c.out.spec)
		c.at(k, "")
		if lack := lacks(spec); lack != "" && c.out.base == nil { // with what outputs list it was checked before
			c.fault(fault.ReasonInvalid, "operation %q: %s", spec.Name, lack)
			whole = false
			continue
		}
		op.hashes()
		c.size(op)
		c.rank(op)
		if op.Approval != nil {
			c.out.approvals = append(c.out.approvals, k)
		}
		op.first = total
		total += op.count
	}
	if total > MaxInstances {
		c.field = "spec.operations"
		c.fault(fault.ReasonInvalid, "spec.operations: %d instances in all, and a workflow may have %d: split it", total, MaxInstances)
	}
	return whole && total <= MaxInstances
}

// policies sets what holds for an operation: what it says itself, else what the workflow says.
func (op *operation) policies(spec *v1alpha1.BatchWorkflowSpec) {
	op.policy = v1alpha1.FailureFail
	for _, policy := range []v1alpha1.FailurePolicy{spec.OnFailure, op.OnFailure} {
		if policy != "" {
			op.policy = policy
		}
	}
	for _, policy := range []*v1alpha1.UndoPolicy{spec.Undo, op.Undo} {
		if policy != nil {
			op.undo = *policy
		}
	}
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
		case batch.Count != nil && len(batch.ForEach) > 0, batch.Count != nil && batch.ForEachFrom != "", len(batch.ForEach) > 0 && batch.ForEachFrom != "",
			batch.Count == nil && len(batch.ForEach) == 0 && batch.ForEachFrom == "":
			return "serverBatch needs exactly one of count, forEach and forEachFrom"
		}
	case v1alpha1.OperationTaskServiceBatch:
		switch batch := op.TaskServiceBatch; {
		case batch == nil:
			return fmt.Sprintf(section, op.Type, "taskServiceBatch")
		case len(batch.Recipes) == 0:
			return "taskServiceBatch.recipes is empty: name a recipe"
		case (batch.ForEach == nil) == (batch.Targets == v1alpha1.OperationTarget{}):
			return "taskServiceBatch needs exactly one of targets and forEach"
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
	case v1alpha1.OperationApproval:
		switch {
		case op.Approval == nil:
			return fmt.Sprintf(section, op.Type, "approval")
		case op.Retry != nil || op.Timeout != nil || op.TotalTimeout != nil:
			return "an Approval has no attempts and no clock runs while it is awaited: take out retry, timeout and totalTimeout"
		}
	case v1alpha1.OperationPower:
		switch {
		case op.Power == nil:
			return fmt.Sprintf(section, op.Type, "power")
		case op.Power.Target.Operation == "":
			return "power.target needs an operation: only servers that this workflow made are switched"
		case op.Power.State != v1alpha1.PowerRunning && op.Power.State != v1alpha1.PowerStopped:
			return fmt.Sprintf("power.state is %q: use %s or %s", op.Power.State, v1alpha1.PowerRunning, v1alpha1.PowerStopped)
		}
	default:
		return fmt.Sprintf("type %q is not known: use ServerBatch, TaskServiceBatch, Check, Command, Wait, Approval or Power", op.Type)
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
		if c.readSource(op); op.ServerBatch.ForEach == nil {
			op.unsettled()
			break
		}
		for _, item := range op.ServerBatch.ForEach {
			op.keys = append(op.keys, item.Key)
		}
		op.count = len(op.keys)
		c.distinct(op, "serverBatch.forEach")
	case v1alpha1.OperationTaskServiceBatch:
		op.child = KindTaskService
		c.sizeServices(op)
	case v1alpha1.OperationCheck, v1alpha1.OperationCommand:
		if op.Check != nil && op.Check.Condition != "" {
			break // it is decided here
		}
		op.child = KindRun
		c.sizeByTarget(op)
	case v1alpha1.OperationPower:
		c.sizeByTarget(op)
	case v1alpha1.OperationWait:
		op.count = int(max(op.Wait.Count, 1))
	}
}

// sizeServices gives a TaskServiceBatch one instance a recipe, or one a recipe and server: by the server's key, after the recipe's name
// where there are several.
func (c *compiler) sizeServices(op *operation) {
	recipes := op.TaskServiceBatch.Recipes
	if !op.each() {
		for _, recipe := range recipes {
			op.keys = append(op.keys, recipe.Name)
		}
	} else if c.sizeByTarget(op); len(recipes) > 1 {
		servers := *op
		op.keys = nil
		for _, recipe := range recipes {
			for n := range servers.count {
				key := recipe.Name + "-" + servers.key(n)
				if len(key) > maxKey {
					c.fault(fault.ReasonInvalid, "operation %q: the key %s has %d letters, and %d are possible: use one operation a recipe", op.Name, key, len(key), maxKey)
					return
				}
				op.keys = append(op.keys, key)
			}
		}
	}
	if op.keys != nil {
		op.count = len(op.keys)
	}
	c.distinct(op, "taskServiceBatch.recipes")
}

// maxKey is the longest key that fits into a label.
const maxKey = 63

// each reports whether it makes a service a server.
func (op *operation) each() bool {
	return op.TaskServiceBatch != nil && op.TaskServiceBatch.ForEach != nil
}

// choice returns which recipe, or entry of forEach, the n-th instance is of.
func (op *operation) choice(n int) int {
	if op.each() {
		return n / (op.count / len(op.TaskServiceBatch.Recipes))
	}
	return n
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
	if batch.ForEach == nil {
		op.unsettled()
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
			c.field += "." + field
			c.fault(fault.ReasonDuplicateName, "operation %q: %s has the key %q twice: keys must differ", op.Name, field, key)
			return
		}
		seen[key] = true
	}
}

// target returns what the operation acts on, or nil.
func (op *operation) target() *v1alpha1.OperationTarget {
	switch {
	case op.each():
		return &v1alpha1.OperationTarget{Operation: op.TaskServiceBatch.ForEach.Operation}
	case op.TaskServiceBatch != nil:
		return &op.TaskServiceBatch.Targets
	case op.Check != nil:
		return op.Check.Target
	case op.Command != nil:
		return &op.Command.Target
	case op.Power != nil:
		return &op.Power.Target
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
	c.orderSwitches()
}

// maxTargets is the bound of TaskService.spec.servers.names.
const maxTargets = 256

func (c *compiler) resolveTarget(k int, op *operation, target *v1alpha1.OperationTarget) {
	field := "target"
	if op.child == KindTaskService {
		field = "taskServiceBatch.targets"
	}
	if op.each() {
		field = "taskServiceBatch.forEach"
	}
	c.at(k, "")
	switch {
	case op.Check != nil:
		c.at(k, "check.target")
	case op.Command != nil:
		c.at(k, "command.target")
	case op.TaskServiceBatch != nil:
		c.at(k, field)
	}
	whole := op.child == KindTaskService && !op.each() || target.Key != ""
	invalid := func(format string, args ...any) {
		c.fault(fault.ReasonInvalid, "operation %q: %s: "+format, append([]any{op.Name, field}, args...)...)
	}
	from := c.find(target.Operation)
	switch {
	case from < 0:
		c.fault(fault.ReasonUnknownDependency, "operation %q: %s: operation %q does not exist: name a ServerBatch of this workflow%s", op.Name, field, target.Operation, c.meant(target.Operation))
		return
	case c.out.ops[from].child != KindServer:
		invalid("%q is a %s, and only a ServerBatch has servers", target.Operation, c.out.ops[from].Type)
		return
	case !c.hardBefore(from, k, whole):
		advice := ""
		if whole { // where instances are not one a server
			advice = " and match All"
		}
		invalid("add %q, whose servers are meant, to dependsOn with type Hard%s", target.Operation, advice)
		return
	}
	servers := &c.out.ops[from]
	servers.powered = servers.powered || op.Power != nil
	op.source, op.over, op.open = servers.source, servers.over, servers.open
	if op.child == KindTaskService && whole && target.Key == "" && servers.count > maxTargets {
		invalid("a TaskService takes at most %d servers, and %q has %d: split it", maxTargets, target.Operation, servers.count)
		return
	}
	for n := range servers.count {
		if key := servers.key(n); target.Key == "" || target.Key == key {
			op.targets = append(op.targets, v1alpha1.ChildName(c.out.name, servers.Name, key))
		}
	}
	if len(op.targets) == 0 && !op.open {
		invalid("%q has no server with the key %q%s", target.Operation, target.Key, c.meantKey(servers, target.Key))
	}
}

// nameChildren gives every instance that has a child its name, which is fixed for ever.
func (w *Workflow) nameChildren() {
	count := 0
	for k := range w.ops {
		count += w.ops[k].count
	}
	w.names, w.instances = make([]string, count), map[string]int{}
	for k := range w.ops {
		op := &w.ops[k]
		if op.child == "" {
			continue
		}
		for n := range op.count {
			name := v1alpha1.ChildName(w.name, op.Name, op.key(n))
			w.names[op.first+n] = name
			w.instances[name] = op.first + n
			if op.Type == v1alpha1.OperationCommand {
				w.instances[undoName(w.name, op.Name, op.key(n))] = count + op.first + n
			}
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
