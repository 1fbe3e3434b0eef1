// Package convert knows the older form of workflows, in JSON or TOML, and writes it as a BatchWorkflow in YAML. It must not know a
// cluster, nor guess: what it does not know it refuses by name, and what has no counterpart it says in a comment.
package convert

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Result is a converted workflow.
type Result struct {
	YAML  []byte
	Notes []string // what was not carried over, as in the comments; with the operation before each
}

// recipes are names of services whose recipes are called otherwise.
var recipes = map[string]string{"crio": "cri-o", "postgres": "postgresql"}

// converter carries one workflow over.
type converter struct {
	out    workflow
	notes  []note
	faults []Fault
	types  map[string]string // operation → older type
}

// Convert reads a workflow of the older form. Its error joins a Fault for everything that cannot be carried over: unknown fields and
// words with their path and the nearest names, and what has no counterpart.
func Convert(text []byte) (Result, error) {
	fields, err := parse(text)
	if err != nil {
		return Result{}, err
	}
	c := &converter{types: map[string]string{}}
	root := &node{fields: fields, faults: &c.faults}
	if w := root.object("batch_workflow"); w != nil {
		c.workflow(w)
		w.leave()
	} else if len(c.faults) == 0 {
		root.fault("batch_workflow", "this field is missing: it holds the workflow")
	}
	root.leave()
	if len(c.faults) > 0 {
		all := make([]error, len(c.faults))
		for i, f := range c.faults {
			all[i] = f
		}
		return Result{}, errors.Join(all...)
	}
	yaml, err := c.out.write(c.notes)
	return Result{YAML: yaml, Notes: c.told()}, err
}

func (c *converter) workflow(n *node) {
	c.out.APIVersion, c.out.Kind = v1alpha1.GroupVersion.String(), "BatchWorkflow"
	if c.out.Metadata.Name = kebab(n.text("name")); c.out.Metadata.Name == "" {
		n.fault("name", "a name is missing")
	}
	if version := n.text("version"); version != "" {
		c.note(-1, "version %s of the older form; Keelway keeps no version of a workflow: Git does", version)
	}
	if text := n.text("description"); text != "" {
		c.note(-1, "%s", text)
	}
	if storage, _ := n.take("storage_backend"); n.fields[storage] != nil {
		c.note(-1, "storage_backend: left out, because the state of a run lives in the cluster")
	}
	c.out.Spec.ParallelLimit = max(n.whole("parallel_limit"), 0)
	c.out.Spec.Timeout = seconds(n.whole("timeout"))
	c.out.Spec.OnFailure = c.policy(n)
	items, path := n.list("operations")
	if len(items) == 0 {
		n.fault("operations", "at least one operation is needed")
	}
	c.out.Spec.Operations = make([]operation, len(items))
	ops := make([]*node, len(items))
	for i, item := range items {
		fields, ok := item.(map[string]any)
		ops[i] = &node{path: fmt.Sprintf("%s[%d]", path, i), fields: fields, faults: &c.faults}
		if !ok {
			ops[i].fault("", "an operation is expected, found %v", brief(item))
			continue
		}
		c.head(ops[i], i)
	}
	for i, op := range ops { // an operation may come before what it depends on
		if op.fields != nil {
			c.payload(op, i)
			op.leave()
		}
	}
}

// policy is what a failure does: said directly, by rollback_enabled, or by rollback_strategy.
func (c *converter) policy(n *node) string {
	back, given := n.flag("rollback_enabled")
	if strategy := n.object("rollback_strategy"); strategy != nil {
		if enabled, ok := strategy.flag("enabled"); ok {
			back, given = back || enabled, true
		}
		for _, name := range []string{"on_partial_failure", "checkpoint_interval", "preserve_successful"} {
			if _, value := strategy.take(name); value != nil {
				c.note(-1, "rollback_strategy.%s: %s: left out; %s", name, brief(value), strategies[name])
			}
		}
		strategy.leave()
	}
	switch said := policies[n.word("on_failure", "fail", "continue", "rollback")]; {
	case said != "":
		return said
	case back:
		return "Rollback"
	case given:
		return "Fail"
	}
	return ""
}

var policies = map[string]string{"fail": "Fail", "continue": "Continue", "rollback": "Rollback"}

var strategies = map[string]string{
	"on_partial_failure":  "onFailure of each operation says what its failure does",
	"checkpoint_interval": "every step is recorded before it is done",
	"preserve_successful": "keepOnUndo: true on an operation keeps it and what it rests on",
}

func (c *converter) note(operation int, format string, args ...any) {
	c.notes = append(c.notes, note{operation, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")})
}

func (c *converter) told() (said []string) {
	for _, n := range c.notes {
		if n.operation >= 0 {
			n.text = "operation " + c.out.Spec.Operations[n.operation].Name + ": " + n.text
		}
		said = append(said, n.text)
	}
	return said
}

// kebab writes a name as Kubernetes does.
func kebab(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name), "-")
}
