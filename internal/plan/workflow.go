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
	instances       map[string]int // child name → instance
	names           []string       // instance → child name; "" where it has none
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
	written saga.Hash
}

// Compile checks the workflow and prepares it for Advance and Act. It reports every fault at once: the error is Terminal, its
// reason that of the first fault. It is the same function that an offline validation calls. A nil catalog skips what only
// recipes can tell.
func Compile(w *v1alpha1.BatchWorkflow, recipes *Recipes) (*Workflow, error) {
	c := &compiler{
		out:     &Workflow{namespace: w.Namespace, name: w.Name, generation: w.Generation, spec: w.Spec.DeepCopy(), index: map[string]int{}},
		recipes: recipes,
	}
	whole := c.expand()
	c.link()
	if whole && c.out.graph != nil {
		c.joinOperations()
		c.resolveTargets()
		c.parseTexts()
		c.compileConditions()
		c.checkRecipes()
	}
	if err := c.verdict(); err != nil {
		return nil, err
	}
	c.nameChildren()
	c.out.hash = c.out.digest()
	return c.out, nil
}

// Generation returns the generation of the spec that was compiled.
func (w *Workflow) Generation() int64 { return w.generation }

// Instance returns the instance whose child has that name, or -1.
func (w *Workflow) Instance(child string) int {
	if i, ok := w.instances[child]; ok {
		return i
	}
	return -1
}

// Child returns the kind and name of an instance's child, or "" when it has none.
func (w *Workflow) Child(l *saga.Ledger, i int) (kind, name string) {
	return w.ops[l.OpOf(i)].child, w.names[i]
}

// Start returns the ledger of a first run that begins at now (Unix seconds): everything is Pending.
func (w *Workflow) Start(now int64) (*saga.Ledger, error) {
	ops := make([]saga.Op, len(w.ops))
	for k := range w.ops {
		op := &w.ops[k]
		ops[k] = saga.Op{Name: op.Name, Type: string(op.Type), Written: op.written, Count: int32(op.count), Keys: op.keys}
		for _, arc := range w.graph.Preds(k) {
			ops[k].Preds = append(ops[k].Preds, saga.Pred{Op: arc.Op, Soft: arc.Soft, Same: arc.Same})
		}
	}
	return saga.New(1, now, w.hash, w.generation, ops)
}

// Fits reports whether the ledger speaks of this workflow's operations. When it does not, the operations were edited.
func (w *Workflow) Fits(l *saga.Ledger) bool { return l.SpecHash == w.hash }

// digest is over what a run is tied to: names, types, payloads and edges. Limits, retries, time-outs and policies may change
// under a run.
func (w *Workflow) digest() saga.Hash {
	h := sha256.New()
	for k := range w.ops {
		op := &w.ops[k]
		line, _ := json.Marshal([]any{op.Name, op.written[:], op.DependsOn}) // plain structs cannot fail
		h.Write(append(line, '\n'))
	}
	return saga.Hash(h.Sum(nil)[:16])
}

// writtenHash is over an operation's type and payload as written: without edges, retry, time-outs and policies.
func writtenHash(op *v1alpha1.Operation) saga.Hash {
	payload := *op
	payload.Name, payload.DependsOn, payload.Retry, payload.Timeout, payload.OnFailure = "", nil, nil, nil, ""
	payload.TotalTimeout, payload.Undo, payload.KeepOnUndo = nil, nil, false
	text, _ := json.Marshal(payload)
	sum := sha256.Sum256(text)
	return saga.Hash(sum[:16])
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
