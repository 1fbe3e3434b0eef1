package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
)

// compiler fills a Workflow and collects what is wrong with it.
type compiler struct {
	out     *Workflow
	recipes *catalog.Catalog
	field   string // that faults stand in: see at
	faults  Faults

	routes map[route][]bool // what comes before an operation; of the one asked last
}

// link builds the graph: it names every duplicate, unknown dependency and self-edge, or else a cycle.
func (c *compiler) link() {
	c.field = "spec.operations"
	if len(c.out.ops) == 0 {
		c.fault(fault.ReasonInvalid, "spec.operations: a workflow needs at least one operation")
		return
	}
	names := make([]string, len(c.out.ops))
	sound := true
	for k := range c.out.ops {
		names[k] = c.out.ops[k].Name
		sound = c.linkOne(k) && sound
	}
	if !sound {
		return
	}
	edges, err := dag.Resolve(names, c.needs)
	if err == nil {
		c.out.graph, err = dag.Build(names, edges)
	}
	if err != nil {
		c.field = "spec.operations"
		if cycle, ok := errors.AsType[*dag.CycleError](err); ok {
			c.at(c.find(cycle.Path[0]), "dependsOn")
		}
		c.misfit(err)
	}
}

// linkOne reports whether an operation's name and edges can be part of a graph.
func (c *compiler) linkOne(k int) bool {
	op, before := &c.out.ops[k], len(c.faults)
	if c.find(op.Name) != k {
		c.at(k, "name")
		c.misfit(&dag.DuplicateError{Name: op.Name})
	}
	for n, d := range op.DependsOn {
		c.at(k, fmt.Sprintf("dependsOn[%d].operation", n))
		switch from := c.find(d.Operation); {
		case from < 0 && d.Type != v1alpha1.EdgeOptional:
			c.misfit(&dag.UnknownError{Operation: op.Name, Name: d.Operation})
		case d.Operation == op.Name:
			c.misfit(&dag.SelfError{Name: op.Name})
		}
	}
	return len(c.faults) == before
}

func (c *compiler) misfit(err error) {
	reason, advice := graphFault(err)
	if unknown, ok := errors.AsType[*dag.UnknownError](err); ok {
		advice += c.meant(unknown.Name)
	}
	c.fault(reason, "spec.operations: %w: %s", err, advice)
}

// meant is the tail of a message about an operation that does not exist: those of which the name is near. Only for as many faults as a
// message lists: each costs a comparison with every operation.
func (c *compiler) meant(name string) string {
	if len(c.faults) >= maxListed {
		return ""
	}
	return nearest.Hint(name, c.out.operations())
}

// operations are their names, in the order in which they stand.
func (w *Workflow) operations() []string {
	names := make([]string, len(w.ops))
	for k := range w.ops {
		names[k] = w.ops[k].Name
	}
	return names
}

func (c *compiler) needs(k int) []dag.Need {
	needs := make([]dag.Need, 0, len(c.out.ops[k].DependsOn))
	for _, d := range c.out.ops[k].DependsOn {
		needs = append(needs, dag.Need{
			Name: d.Operation, Soft: d.Type == v1alpha1.EdgeSoft || d.Type == v1alpha1.EdgeOptional,
			Same: d.Match == v1alpha1.MatchSameIndex, Optional: d.Type == v1alpha1.EdgeOptional,
		})
	}
	return needs
}

// meantKey is meant for the key of an instance. Of many keys the first thousand are compared.
func (c *compiler) meantKey(op *operation, key string) string {
	const most = 1000
	if len(c.faults) >= maxListed {
		return ""
	}
	keys := make([]string, min(op.count, most))
	for n := range keys {
		keys[n] = op.key(n)
	}
	return nearest.Hint(key, keys)
}

func graphFault(err error) (reason fault.Reason, advice string) {
	if _, ok := errors.AsType[*dag.DuplicateError](err); ok {
		return fault.ReasonDuplicateName, "rename one of them"
	}
	if _, ok := errors.AsType[*dag.UnknownError](err); ok {
		return fault.ReasonUnknownDependency, "correct its dependsOn, or add the operation"
	}
	if _, ok := errors.AsType[*dag.SelfError](err); ok {
		return fault.ReasonCycle, "take it out of its own dependsOn"
	}
	return fault.ReasonCycle, "take one of these out of a dependsOn"
}

// parseTexts parses everything that may refer to outputs, and checks that what it refers to comes first.
func (c *compiler) parseTexts() {
	for k := range c.out.ops {
		op := &c.out.ops[k]
		place := fmt.Sprintf("operation %q", op.Name)
		c.at(k, "")
		var err error
		if op.text, err = parseTexts(op.Operation); err != nil {
			c.fault(fault.ReasonInvalid, "%s: %w", place, err)
			continue
		}
		if c.out.graph == nil {
			continue // nobody knows what comes first
		}
		for _, use := range op.text.uses {
			c.checkRef(k, place+": "+use.at, use.Ref)
		}
		if op.spans() {
			c.at(k, "serverBatch.forEachFrom")
			c.checkRef(k, place+": serverBatch.forEachFrom", *op.source)
		}
	}
}

func (c *compiler) checkRef(k int, place string, ref expr.Ref) {
	from := c.find(ref.Operation)
	switch {
	case from < 0:
		c.fault(fault.ReasonUnknownDependency, "%s: %s refers to an operation that does not exist: correct its name%s", place, ref, c.meant(ref.Operation))
	case from == k:
		c.fault(fault.ReasonInvalid, "%s: %s refers to the operation itself, which has outputs only once it has succeeded: refer to one that comes before it", place, ref)
	case !c.hardBefore(from, k, true):
		c.fault(fault.ReasonInvalid, "%s: %s is known only once %q has succeeded: add it to dependsOn with type Hard and match All", place, ref, ref.Operation)
	case !offers(&c.out.ops[from], ref.Output):
		c.fault(fault.ReasonInvalid, "%s: %s: there is no output %q: %s", place, ref, ref.Output, outputsOf(&c.out.ops[from]))
	default:
		c.give(from, ref.Output)
	}
}

// give notes that an output is wanted, where the operation can have it.
func (c *compiler) give(from int, output string) {
	op := &c.out.ops[from]
	if !offers(op, output) {
		return
	}
	if op.given == nil {
		op.given = map[string]bool{}
	}
	op.given[output] = true
}

func optionalOn(name string) func(v1alpha1.Dependency) bool {
	return func(d v1alpha1.Dependency) bool { return d.Operation == name && d.Type == v1alpha1.EdgeOptional }
}

// route says which edges are followed back from an operation.
type route struct {
	to          int
	hard, whole bool // only hard ones; only those that join all instances
}

// hardBefore reports whether every path of success to k goes through from: a chain of Hard edges leads from one to the other.
// whole: all of from has succeeded then, and not only the partners.
func (c *compiler) hardBefore(from, k int, whole bool) bool {
	return c.leads(from, route{to: k, hard: true, whole: whole})
}

// before reports whether any chain of edges leads from one to the other.
func (c *compiler) before(from, k int) bool { return c.leads(from, route{to: k, whole: true}) }

func (c *compiler) leads(from int, by route) bool {
	found, ok := c.routes[by]
	if !ok {
		found = make([]bool, c.out.graph.N())
		for stack := []int32{int32(by.to)}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			for _, arc := range c.out.graph.Preds(int(at)) {
				if !(by.hard && arc.Soft) && !(by.whole && arc.Same) && !found[arc.Op] {
					found[arc.Op] = true
					stack = append(stack, arc.Op)
				}
			}
		}
		c.routes = map[route][]bool{by: found}
	}
	return found[from]
}

func (c *compiler) find(name string) int {
	if k, ok := c.out.index[name]; ok {
		return k
	}
	return -1
}

// checkRecipes asks the catalog about names, versions, parameters, and what excludes or needs what on the same servers.
func (c *compiler) checkRecipes() {
	if c.recipes == nil {
		return
	}
	together, whose := map[string][]catalog.Choice{}, map[string][]string{}
	var order []string
	for k := range c.out.ops {
		op := &c.out.ops[k]
		if op.TaskServiceBatch == nil {
			continue
		}
		target := fmt.Sprint(*op.target())
		if together[target] == nil {
			order = append(order, target)
		}
		whose[target] = append(whose[target], strconv.Quote(op.Name))
		for i := range op.TaskServiceBatch.Recipes {
			c.at(k, fmt.Sprintf("taskServiceBatch.recipes[%d]", i))
			if c.checkRecipe(op, &op.TaskServiceBatch.Recipes[i]) {
				choice := op.TaskServiceBatch.Recipes[i]
				together[target] = append(together[target], catalog.Choice{Recipe: choice.Name, Version: choice.Version})
			}
		}
	}
	c.field = "spec.operations"
	for _, target := range order {
		if _, err := catalog.Solve(c.recipes, unique(together[target])); err != nil {
			c.keep("spec.operations: "+strings.Join(whose[target], ", ")+", on the same servers", err)
		}
	}
}

func (c *compiler) checkRecipe(op *operation, choice *v1alpha1.RecipeChoice) bool {
	place := fmt.Sprintf("operation %q", op.Name) // the catalog's own words name the recipe
	recipe, err := c.recipes.Get(choice.Name)
	if err == nil {
		_, err = recipe.Resolve(choice.Version)
	}
	if err != nil {
		c.keep(place, err)
		return false
	}
	if doc, ok := op.text.parameters[choice.Name]; ok && len(doc.Refs()) > 0 {
		return true // values that are not known yet are checked by the TaskService
	}
	parameters, err := decodeParameters(choice.Parameters)
	if err != nil {
		c.fault(fault.ReasonInvalid, "%s: parameters of recipe %s are no object: write name: value", place, choice.Name)
		return false
	}
	if _, err := recipe.Validate(parameters, fromSecrets(choice.ParametersFrom)...); err != nil {
		c.field += ".parameters"
		c.keep(place, err)
		return false
	}
	return true
}

func decodeParameters(p *v1alpha1.Parameters) (map[string]any, error) {
	if p == nil || len(p.Raw) == 0 {
		return nil, nil
	}
	var values map[string]any
	if err := json.Unmarshal(p.Raw, &values); err != nil {
		return nil, err
	}
	return values, nil
}

func fromSecrets(sources []v1alpha1.ParameterSource) []string {
	names := make([]string, 0, len(sources))
	for _, s := range sources {
		names = append(names, s.Parameter)
	}
	return names
}

// unique drops repeats of a recipe: two operations may name the same one.
func unique(choices []catalog.Choice) []catalog.Choice {
	seen := map[string]bool{}
	return slices.DeleteFunc(choices, func(c catalog.Choice) bool {
		again := seen[c.Recipe]
		seen[c.Recipe] = true
		return again
	})
}
