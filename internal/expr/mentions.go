package expr

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Mention is an operation that a condition reads.
type Mention struct {
	Operation string
	// Keys are all names and texts of the condition: what it may read of the operation's outputs is among them.
	Keys []string
}

// mentions walks through a condition.
type mentions struct {
	operations []string
	keys       []string
	children   bool
	whole      bool
}

func (m *mentions) list() []Mention {
	out := make([]Mention, 0, len(m.operations))
	for _, name := range m.operations {
		out = append(out, Mention{Operation: name, Keys: m.keys})
	}
	return out
}

// read goes through expressions.
func (m *mentions) read(parts ...ast.Expr) {
	for _, part := range parts {
		m.one(part)
	}
}

func (m *mentions) one(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		switch e.AsIdent() {
		case "operations":
			m.whole = true
		case "children":
			m.children = true
		}
	case ast.LiteralKind:
		if text, ok := e.AsLiteral().(types.String); ok {
			m.keys = append(m.keys, string(text))
		}
	case ast.SelectKind:
		selected := e.AsSelect()
		if isOperations(selected.Operand()) {
			m.name(selected.FieldName())
			return
		}
		m.keys = append(m.keys, selected.FieldName())
		m.read(selected.Operand())
	case ast.CallKind:
		m.call(e.AsCall())
	case ast.ListKind:
		m.read(e.AsList().Elements()...)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			m.read(entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		m.read(c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result())
	}
}

func (m *mentions) call(call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		if name, ok := literal(args[1]); ok && isOperations(args[0]) {
			m.name(name)
			return
		}
	}
	if call.IsMemberFunction() {
		m.one(call.Target())
	}
	m.read(args...)
}

func (m *mentions) name(operation string) {
	for _, known := range m.operations {
		if known == operation {
			return
		}
	}
	m.operations = append(m.operations, operation)
}

func isOperations(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "operations" }

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
