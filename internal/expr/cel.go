package expr

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

const (
	// MaxCondition bounds the text of a condition, in bytes.
	MaxCondition = 4 << 10
	// CostLimit bounds one evaluation, in the API server's units: about a tenth of a second.
	CostLimit = celconfig.PerCallLimit
)

// dialect is the Kubernetes release whose CEL is spoken. It is pinned, so that a rebuilt operator reads old workflows alike.
var dialect = version.MajorMinor(1, 37)

// Condition is a compiled CEL expression that is true or false. It never changes, so it may be shared: compile it once a
// generation.
type Condition struct {
	program  cel.Program
	mentions []Mention
	children bool
	whole    bool
}

// Mentions lists the operations that the condition reads, in order of their first mention.
func (c *Condition) Mentions() []Mention { return c.mentions }

// Whole reports whether the condition reads operations other than by a name that it writes out: operations.NAME or
// operations["NAME"].
func (c *Condition) Whole() bool { return c.whole }

// Children reports whether the condition reads children.
func (c *Condition) Children() bool { return c.children }

// Values are what a condition can see. Both are maps by name to plain JSON values (maps, lists, strings, numbers, booleans).
type Values struct {
	Operations map[string]any
	Children   map[string]any
}

// speaker builds the environment once: it costs milliseconds and never changes.
var speaker = sync.OnceValues(func() (*cel.Env, error) {
	values := cel.MapType(cel.StringType, cel.DynType)
	set, err := environment.MustBaseEnvSet(dialect).Extend(environment.VersionedOptions{
		IntroducedVersion: dialect,
		EnvOptions:        []cel.EnvOption{cel.Variable("operations", values), cel.Variable("children", values)},
	})
	if err != nil {
		return nil, err
	}
	return set.Env(environment.NewExpressions)
})

// Compile reads a condition in the CEL of the API server, over the variables operations and children. It refuses what is no
// CEL, what refers to anything else, and what is not a boolean; the message says where.
func Compile(text string) (*Condition, error) {
	if len(text) > MaxCondition {
		return nil, fmt.Errorf("the condition is longer than %d bytes", MaxCondition)
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("the condition is empty")
	}
	env, err := speaker()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, clip(plain(first.Message)))
	}
	if found := tree.OutputType(); !found.IsExactType(cel.BoolType) {
		return nil, fmt.Errorf(`the condition must be true or false, and this is of type %s; compare it with something, as in … == "yes"`, found)
	}
	program, err := env.Program(tree, cel.CostLimit(CostLimit))
	if err != nil {
		return nil, fmt.Errorf("preparing the condition: %w", err)
	}
	m := &mentions{}
	m.one(tree.NativeRep().Expr())
	return &Condition{program: program, mentions: m.list(), children: m.children, whole: m.whole}, nil
}

// Eval decides the condition. It fails where the condition reads what is not there, and where deciding it costs more than
// CostLimit; has(x) and x.?y.orValue(z) are how a condition asks first.
func (c *Condition) Eval(values Values) (bool, error) {
	result, _, err := c.program.Eval(map[string]any{"operations": orEmpty(values.Operations), "children": orEmpty(values.Children)})
	switch {
	case err != nil && strings.Contains(err.Error(), "cost limit exceeded"):
		return false, errors.New("the condition costs too much to decide: name what it looks at, as in operations.NAME.phase, rather than going over lists within lists")
	case err != nil:
		return false, fmt.Errorf("deciding the condition: %s", clip(err.Error()))
	}
	decided, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the condition gave a %s instead of true or false", result.Type().TypeName())
	}
	return decided, nil
}

// plain leaves out of a message what only those know who write parsers: which of forty tokens might have come instead.
func plain(message string) string {
	message, _, _ = strings.Cut(message, " expecting ")
	return strings.Replace(message, "mismatched input '<EOF>'", "something is missing at its end", 1)
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
