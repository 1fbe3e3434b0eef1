package plan

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/saga"
)

// MaxInstances is how many operation instances one workflow may have.
const MaxInstances = 100_000

// Kinds of children.
const (
	KindServer      = "Server"
	KindTaskService = "TaskService"
	KindRun         = "Run"
)

// Recipes is the catalog that Compile asks.
type Recipes = catalog.Catalog

// Workflow is a BatchWorkflow's spec, checked and compiled once a generation. It never changes and may be shared.
type Workflow struct {
	namespace, name string
	generation      int64
	spec            *v1alpha1.BatchWorkflowSpec
	ops             []operation
	index           map[string]int // name → operation; the first of its name
	graph           *dag.Graph
	hash            saga.Hash      // of operations and edges as written
	next            *Workflow      // what a changed spec asks for, where this one is what a ledger still speaks of; see Under
	instances       map[string]int // child name → place of Sights, see Places
	names           []string       // instance → child name; "" where it has none
	approvals       []int          // operations of type Approval
	gate            Gate           // see Behind

	written *v1alpha1.BatchWorkflowSpec // spec, without what outputs list
	spanned map[string]string           // by operation, the output of which its entries were made; see Spanned
	base    *Workflow                   // in which nothing was made of outputs; nil: this one
	recipes *Recipes
}

// operation is one compiled operation.
type operation struct {
	*v1alpha1.Operation
	child   string   // kind of its children; "" when it is decided here
	keys    []string // nil: numbered
	count   int
	first   int
	order   []int  // in which its instances start; nil: as they are
	joins   []join // edges of match SameIndex that lead here
	joined  []join // and those that lead from here
	policy  v1alpha1.FailurePolicy
	undo    v1alpha1.UndoPolicy
	when    *expr.Condition // nil: always wanted
	gate    *expr.Condition // a check that is a condition; nil: it is none
	targets []string        // names of Servers; nil when it has no targets
	text    texts           // what may hold references, parsed
	given   map[string]bool // outputs that others refer to
	written saga.Digest     // of what all instances have in common
	powered bool            // an operation of type Power switches its Servers
	own     []saga.Digest   // of what is an instance's own: by entry of forEach, or by recipe
	source  *expr.Ref       // the output that lists its instances, or the servers that they are for; nil: none does
	over    string          // the operation whose entries that output lists: this one, or the one whose servers are meant
	open    bool            // nobody knows them yet
}

// Compile checks the workflow and prepares it for Advance and Act. It reports every fault at once: the error is Terminal, its
// reason that of the first fault. It is the same function that an offline validation calls. A nil catalog skips what only
// recipes can tell. FaultsIn tells the single faults, each with its field.
func Compile(w *v1alpha1.BatchWorkflow, recipes *Recipes) (*Workflow, error) {
	spec := w.Spec.DeepCopy()
	out := &Workflow{namespace: w.Namespace, name: w.Name, generation: w.Generation, spec: spec, written: spec, recipes: recipes, index: map[string]int{}}
	return out.compile()
}

// compile does so for a workflow of which only the spec is known.
func (w *Workflow) compile() (*Workflow, error) {
	c := &compiler{out: w, recipes: w.recipes}
	whole := c.expand()
	c.link()
	switch {
	case whole && c.out.graph != nil:
		c.joinOperations()
		c.resolveTargets()
		c.parseTexts()
		c.compileConditions()
		c.checkRecipes()
	case whole: // without a graph nobody knows what comes first; what recipes say does not depend on it
		c.parseTexts()
		c.checkRecipes()
	}
	if err := c.verdict(); err != nil {
		return nil, err
	}
	c.out.nameChildren()
	if c.out.hash = c.out.digest(); w.base != nil {
		c.out.hash = w.base.hash // what outputs list is not written
	}
	return c.out, nil
}

// Generation returns the generation of the spec that was compiled.
func (w *Workflow) Generation() int64 { return w.generation }

// Start returns the ledger of a first run that begins at now (Unix seconds): everything is Pending.
func (w *Workflow) Start(now int64) (*saga.Ledger, error) { return w.ledger(1, now) }

// ledger returns an empty ledger of that run.
func (w *Workflow) ledger(run int32, now int64) (*saga.Ledger, error) {
	ops := make([]saga.Op, len(w.ops))
	for k := range w.ops {
		op := &w.ops[k]
		ops[k] = saga.Op{Name: op.Name, Type: string(op.Type), Child: op.child, Count: int32(op.count), Keys: op.keys, Span: w.spanned[op.Name]}
		for _, arc := range w.graph.Preds(k) {
			ops[k].Preds = append(ops[k].Preds, saga.Pred{Op: arc.Op, Soft: arc.Soft, Same: arc.Same})
		}
	}
	l, err := saga.New(run, now, w.hash, w.generation, ops)
	if err == nil {
		l.RunID = w.spec.RunID
	}
	return l, err
}

// Fits reports whether the ledger is one of this workflow as it is written. When it is not, the operations were edited, or another run
// was asked for after its end.
func (w *Workflow) Fits(l *saga.Ledger) bool {
	return l.SpecHash == w.hash && (l.RunID == w.spec.RunID || !l.Phase.Terminal())
}

// digest is over what a run is tied to: names, types, payloads and edges. Limits, retries, time-outs and policies may change
// under a run.
func (w *Workflow) digest() saga.Hash {
	h := sha256.New()
	for k := range w.ops {
		op := &w.ops[k]
		parts := []any{op.Name, op.written, op.own, op.count, op.keys, op.When, op.DependsOn}
		if op.spans() {
			parts = append(parts, op.ServerBatch.ForEachFrom)
		}
		line, _ := json.Marshal(parts) // plain structs cannot fail
		h.Write(append(line, '\n'))
	}
	return saga.Hash(h.Sum(nil)[:16])
}

// key returns the key of an operation's k-th instance.
func (op *operation) key(k int) string {
	if op.keys != nil {
		return op.keys[k]
	}
	return strconv.Itoa(k)
}

// limit returns how many instances may be started and not yet ended.
func (w *Workflow) limit() int {
	if w.spec.ParallelLimit > 0 {
		return int(w.spec.ParallelLimit)
	}
	return 10 // the schema's default
}

// texts are the parts of an operation that may refer to outputs of earlier ones.
type texts struct {
	address    expr.Template            // url or address of a probe
	env        []expr.Template          // in the order of the command's env
	parameters map[string]expr.Document // by recipe
	uses       []use
}

// use is one reference, and where it stands.
type use struct {
	expr.Ref
	at string
}

func (t *texts) use(at string, refs []expr.Ref) {
	for _, ref := range refs {
		t.uses = append(t.uses, use{ref, at})
	}
}
