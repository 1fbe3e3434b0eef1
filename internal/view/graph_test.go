package view

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/saga"
)

// ledger is one of the example: three servers, a service on them that failed, a check that was omitted for it.
func ledger(t testing.TB) *saga.Ledger {
	t.Helper()
	l, err := saga.New(1, clock.Unix()-40, saga.Hash{}, 1, []saga.Op{
		{Name: "servers", Type: "ServerBatch", Count: 3}, {Name: "etcd", Type: "TaskServiceBatch", Keys: []string{"etcd"}}, {Name: "check", Type: "Check", Count: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := []error{
		l.Order(0, clock.Unix()-38), l.Settle(0, saga.Succeeded, clock.Unix()-30, "", ""),
		l.Order(1, clock.Unix()-38), l.Settle(1, saga.Succeeded, clock.Unix()-29, "", ""), l.Order(2, clock.Unix()-38),
		l.Order(3, clock.Unix()-20), l.Settle(3, saga.Failed, clock.Unix()-5, "ScriptFailed", rootCause),
	}
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestGraph(t *testing.T) {
	for name, l := range map[string]*saga.Ledger{"written": nil, "run": ledger(t)} {
		t.Run(name, func(t *testing.T) {
			w := example(t)
			w.Spec.Operations[2].DependsOn[0].Type = v1alpha1.EdgeSoft
			g, err := GraphOf(w, l)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, line := range g.Text() {
				text += line.Draw(0, false) + "\n"
			}
			golden(t, "graph-"+name, text+"\n"+g.DOT()+"\n"+g.Mermaid()+"\n"+g.SVG())
		})
	}
}

func TestGraphRefusesWhatIsNone(t *testing.T) {
	w := example(t)
	w.Spec.Operations[0].DependsOn = []v1alpha1.Dependency{{Operation: w.Spec.Operations[2].Name}}
	_, err := GraphOf(w, nil)
	if _, cycle := errors.AsType[*dag.CycleError](err); !cycle {
		t.Errorf("got %v, want a cycle", err)
	}
}

// TestSVGIsWellFormed: whatever operations are called, the picture is XML and each name is in it.
func TestSVGIsWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &v1alpha1.BatchWorkflow{}
		w.Name = rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "name")
		n := rapid.IntRange(0, 12).Draw(t, "operations")
		for i := range n {
			op := v1alpha1.Operation{Name: fmt.Sprint(i, rapid.StringMatching(`[<>&"'a-z]{0,10}`).Draw(t, "operation")), Type: "Wait"}
			for from := range i {
				if rapid.Bool().Draw(t, "edge") {
					op.DependsOn = append(op.DependsOn, v1alpha1.Dependency{Operation: w.Spec.Operations[from].Name, Type: rapid.SampledFrom([]v1alpha1.EdgeType{"Hard", "Soft"}).Draw(t, "type")})
				}
			}
			w.Spec.Operations = append(w.Spec.Operations, op)
		}
		g, err := GraphOf(w, nil)
		if err != nil {
			t.Fatal(err)
		}
		texts, decoder := 0, xml.NewDecoder(strings.NewReader(g.SVG()))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, g.SVG())
			}
			if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
				texts++
			}
		}
		if texts != 2*n {
			t.Fatalf("%d lines of text for %d operations", texts, n)
		}
	})
}
