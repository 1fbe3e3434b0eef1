package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
)

// maxFaults bounds how many faults one verdict lists.
const maxFaults = 8

// compiler fills a Workflow and collects what is wrong with it.
type compiler struct {
	out     *Workflow
	recipes *catalog.Catalog
	faults  []error
	more    int

	routes map[route][]bool // what comes before an operation; of the one asked last
}

func (c *compiler) fault(reason fault.Reason, format string, args ...any) {
	if len(c.faults) == maxFaults {
		c.more++
		return
	}
	c.faults = append(c.faults, fault.New(fault.Terminal, reason, format, args...))
}

// keep adds a fault that somebody else found, with its place before it.
func (c *compiler) keep(place string, err error) {
	c.fault(fault.ReasonOf(err), "%s: %w", place, err)
}

// verdict joins the faults into one error; its reason is that of the first.
func (c *compiler) verdict() error {
	if len(c.faults) == 0 {
		return nil
	}
	lines := make([]string, 0, len(c.faults)+1)
	for _, f := range c.faults {
		lines = append(lines, f.Error())
	}
	if c.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", c.more))
	}
	return fault.New(fault.Terminal, fault.ReasonOf(c.faults[0]), "%s", strings.Join(lines, "; "))
}

// link builds the graph: it names duplicates, unknown dependencies and cycles.
func (c *compiler) link() {
	if len(c.out.ops) == 0 {
		c.fault(fault.ReasonInvalid, "spec.operations: a workflow needs at least one operation")
		return
	}
	names := make([]string, len(c.out.ops))
	for k := range c.out.ops {
		names[k] = c.out.ops[k].Name
	}
	edges, err := dag.Resolve(names, func(k int) []dag.Need {
		needs := make([]dag.Need, 0, len(c.out.ops[k].DependsOn))
		for _, d := range c.out.ops[k].DependsOn {
			needs = append(needs, dag.Need{
				Name: d.Operation, Soft: d.Type == v1alpha1.EdgeSoft || d.Type == v1alpha1.EdgeOptional,
				Same: d.Match == v1alpha1.MatchSameIndex, Optional: d.Type == v1alpha1.EdgeOptional,
			})
		}
		return needs
	})
	if err == nil {
		c.out.graph, err = dag.Build(names, edges)
	}
	if err != nil {
		reason, advice := graphFault(err)
		c.fault(reason, "spec.operations: %w: %s", err, advice)
	}
}

func graphFault(err error) (reason fault.Reason, advice string) {
	if _, ok := errors.AsType[*dag.DuplicateError](err); ok {
		return fault.ReasonDuplicateName, "rename one of them"
	}
	if _, ok := errors.AsType[*dag.UnknownError](err); ok {
		return fault.ReasonUnknownDependency, "correct its dependsOn, or add the operation"
	}
	return fault.ReasonCycle, "take one of these out of a dependsOn"
}

// parseTexts parses everything that may refer to outputs, and checks that what it refers to comes first.
func (c *compiler) parseTexts() {
	for k := range c.out.ops {
		op := &c.out.ops[k]
		place := fmt.Sprintf("operation %q", op.Name)
		var err error
		if op.text, err = parseTexts(op.Operation); err != nil {
			c.fault(fault.ReasonInvalid, "%s: %w", place, err)
			continue
		}
		for _, use := range op.text.uses {
			c.checkRef(k, place+": "+use.at, use.Ref)
		}
	}
}

func (c *compiler) checkRef(k int, place string, ref expr.Ref) {
	from := c.find(ref.Operation)
	switch {
	case from < 0:
		c.fault(fault.ReasonUnknownDependency, "%s: %s refers to an operation that does not exist: correct its name", place, ref)
	case from == k:
		c.fault(fault.ReasonInvalid, "%s: %s refers to the operation itself, which has outputs only once it has succeeded", place, ref)
	case !c.hardBefore(from, k, true):
		c.fault(fault.ReasonInvalid, "%s: %s is known only once %q has succeeded: add it to dependsOn with type Hard and match All", place, ref, ref.Operation)
	case !offers(&c.out.ops[from], ref.Output):
		c.fault(fault.ReasonInvalid, "%s: %s: %s", place, ref, outputsOf(&c.out.ops[from]))
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
	together := map[string][]catalog.Choice{}
	var order []string
	for k := range c.out.ops {
		op := &c.out.ops[k]
		if op.TaskServiceBatch == nil {
			continue
		}
		target := fmt.Sprint(op.TaskServiceBatch.Targets)
		if together[target] == nil {
			order = append(order, target)
		}
		for i := range op.TaskServiceBatch.Recipes {
			if c.checkRecipe(op, &op.TaskServiceBatch.Recipes[i]) {
				choice := op.TaskServiceBatch.Recipes[i]
				together[target] = append(together[target], catalog.Choice{Recipe: choice.Name, Version: choice.Version})
			}
		}
	}
	for _, target := range order {
		if _, err := catalog.Solve(c.recipes, unique(together[target])); err != nil {
			c.keep("spec.operations", err)
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
		c.fault(fault.ReasonInvalid, "%s: parameters of recipe %s: %w", place, choice.Name, err)
		return false
	}
	if _, err := recipe.Validate(parameters, fromSecrets(choice.ParametersFrom)...); err != nil {
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
