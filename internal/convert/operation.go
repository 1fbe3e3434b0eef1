package convert

import (
	"fmt"
	"slices"
)

// head carries over what an operation is called and what it waits for.
func (c *converter) head(n *node, at int) {
	o := &c.out.Spec.Operations[at]
	o.Name = kebab(n.text("id", "name"))
	n.take("name") // a title, where there is an id
	_, taken := c.types[o.Name]
	switch {
	case o.Name == "":
		n.fault("id", "an id is missing")
	case taken:
		n.fault("id", "another operation is called %s already", o.Name)
	case n.fields["type"] == nil:
		n.fault("type", "a type is missing")
	}
	c.types[o.Name] = n.word("type", "server_batch", "taskserv_batch", "cluster_batch", "custom")
	o.DependsOn = c.dependencies(n, at)
	if n.fields["on_failure"] != nil {
		o.OnFailure = policies[n.word("on_failure", "fail", "continue", "rollback")]
	}
	n.take("on_failure")
	o.Retry = c.retry(n, at)
	o.Timeout = seconds(n.whole("timeout"))
	if _, value := n.take("parallel"); value == false {
		c.note(at, "parallel: false: left out; parallelLimit: 1 of the workflow starts one instance at a time")
	}
}

// payload is what the operation does.
func (c *converter) payload(n *node, at int) {
	o := &c.out.Spec.Operations[at]
	kind, action := c.types[o.Name], n.word("action", "create", "update", "delete", "check")
	provider, count := n.text("provider"), n.whole("count")
	services, path := n.list("services", "taskservs")
	script := n.text("command", "script")
	switch {
	case action == "delete":
		n.fault("action", "delete has no counterpart: what a workflow made goes when the workflow is deleted")
	case action == "check":
		c.check(n, o)
	case kind == "server_batch":
		o.Type = "ServerBatch"
		if provider == "" {
			n.fault("provider", "a provider is missing: servers come from one")
		}
		if count < 1 {
			count = 1
			c.note(at, "how many servers was not said: count is 1")
		}
		o.ServerBatch = &serverBatch{Count: count, Template: template{serverSpec{ref{kebab(provider)}}}}
	case kind == "taskserv_batch":
		o.Type, o.TaskServiceBatch = "TaskServiceBatch", &taskServiceBatch{Recipes: c.recipes(n, services, path, at), Targets: target{c.servers(n, o)}}
		if provider != "" {
			c.note(at, "provider: %s: left out, because services go where the servers of targets are", provider)
		}
	case kind == "custom":
		o.Type, o.Command = "Command", &command{Script: script, Target: target{c.servers(n, o)}}
		if script == "" {
			n.fault("command", "a custom operation needs the text of its command")
		}
	case kind == "cluster_batch":
		o.Type, o.Approval = "Approval", &approval{fmt.Sprintf("is the cluster %s there?", o.Name)}
		c.note(at, "cluster_batch: no operation makes a cluster: what depends on it waits here until somebody has made it and approves")
	}
}

// check asks whether all that comes before is ready.
func (c *converter) check(n *node, o *operation) {
	o.Type = "Check"
	condition := ""
	for _, d := range o.DependsOn {
		if condition != "" {
			condition += " && "
		}
		children := fmt.Sprintf("children[%q]", d.Operation)
		condition += fmt.Sprintf("%s.all(k, %s[k].ready)", children, children)
	}
	if condition == "" {
		n.fault("action", "check needs dependencies: they are what is checked")
	}
	o.Check = &check{condition}
}

// recipes are the services by the names of our recipes.
func (c *converter) recipes(n *node, services []any, path string, at int) []recipe {
	all := []recipe{}
	for i, service := range services {
		name, ok := service.(string)
		if !ok || name == "" {
			*n.faults = append(*n.faults, Fault{fmt.Sprintf("%s[%d]", path, i), "the name of a service is expected, found " + brief(service)})
			continue
		}
		ours := kebab(name)
		if other, ok := recipes[name]; ok {
			ours = other
		}
		all = append(all, recipe{ours})
	}
	if len(services) == 0 {
		c.note(at, "which services was not said: name their recipes")
	}
	return all
}

// servers is the operation whose servers are meant: the nearest one before it that makes some.
func (c *converter) servers(n *node, o *operation) string {
	queue, seen := names(o.DependsOn), map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if c.types[name] == "server_batch" {
			if !slices.ContainsFunc(o.DependsOn, func(d dependency) bool { return d.Operation == name }) {
				o.DependsOn = append(o.DependsOn, dependency{name, "Hard"})
			}
			return name
		}
		for i := range c.out.Spec.Operations {
			if other := &c.out.Spec.Operations[i]; other.Name == name && !seen[name] {
				seen[name] = true
				queue = append(queue, names(other.DependsOn)...)
			}
		}
	}
	n.fault("dependencies", "none of them makes servers, and this operation needs some to act on")
	return ""
}

func names(edges []dependency) (all []string) {
	for _, d := range edges {
		all = append(all, d.Operation)
	}
	return all
}

var edges = map[string]string{"": "Hard", "hard": "Hard", "soft": "Soft", "optional": "Optional"}

// dependencies are names, or objects with a type.
func (c *converter) dependencies(n *node, at int) (all []dependency) {
	items, path := n.list("dependencies")
	for i, item := range items {
		d := &node{path: fmt.Sprintf("%s[%d]", path, i), faults: n.faults}
		switch v := item.(type) {
		case string:
			all = append(all, dependency{kebab(v), "Hard"})
		case map[string]any:
			d.fields = v
			name := kebab(d.text("source", "id"))
			if name == "" {
				d.fault("source", "the operation that comes first is missing")
			}
			all = append(all, dependency{name, edges[d.word("type", "hard", "soft", "optional")]})
			if wait := d.text("wait_condition"); wait != "" {
				c.note(at, "wait_condition %q of %s: left out; when of an operation is a condition in CEL", wait, name)
			}
			d.leave()
		default:
			d.fault("", "the id of an operation is expected, found %v", brief(item))
		}
	}
	return all
}

// retry carries a retry_policy over: its attempts count the first one, ours do not.
func (c *converter) retry(n *node, at int) *retry {
	p := n.object("retry_policy")
	if p == nil {
		return nil
	}
	defer p.leave()
	r := &retry{Limit: max(p.whole("max_attempts")-1, 0)}
	switch p.word("backoff", "linear", "exponential") {
	case "linear":
		r.Backoff.Factor = 1
		c.note(at, "backoff: linear: pauses stay as long as the first one (factor: 1)")
	case "exponential":
		r.Backoff.Factor = 2
	}
	r.Backoff.Duration, r.Backoff.MaxDuration = seconds(p.whole("initial_delay")), seconds(p.whole("max_delay"))
	return r
}
