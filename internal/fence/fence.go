// Package fence knows which room of the house may know which other one, and finds imports and calls that climb over.
// It must not know why a line is drawn: docs/architecture.md says that.
package fence

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the import path of the house.
const Module = "github.com/keelway/keelway/"

// Rule is the fence around one room and what lies below it. A room is a directory relative to the module.
type Rule struct {
	Room string
	// Only lists everything that may be imported besides the standard library: prefixes, ours relative to the module with a
	// leading "./". nil: no such list.
	Only []string
	// Never lists what must not be imported, in the same form; a plain word without a slash is a package of the standard library.
	Never []string
	// Silent: the room decides. It calls no clock and starts no goroutine.
	Silent bool
}

// Breach is one line on the wrong side.
type Breach struct {
	File string
	Line int
	Text string
}

func (b Breach) String() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Text) }

// Breaches reads all Go files but tests below root and reports what the rules forbid. Of several rules for nested rooms the
// innermost one counts. It fails where a rule names a room that holds no Go file: a fence around nothing protects nothing.
func Breaches(root fs.FS, rules []Rule) (found []Breach, err error) {
	rooms := map[string]bool{}
	err = fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != "." || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		rule := innermost(rules, filepath.ToSlash(filepath.Dir(path)))
		if rule == nil {
			return nil
		}
		rooms[rule.Room] = true
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		breaches, err := rule.check(path, text)
		found = append(found, breaches...)
		return err
	})
	for _, rule := range rules {
		if err == nil && !rooms[rule.Room] {
			err = fmt.Errorf("the rule for %s fences nothing: there is no such room", rule.Room)
		}
	}
	return found, err
}

func innermost(rules []Rule, dir string) (best *Rule) {
	for i := range rules {
		room := rules[i].Room
		if (dir == room || strings.HasPrefix(dir, room+"/")) && (best == nil || len(room) > len(best.Room)) {
			best = &rules[i]
		}
	}
	return best
}

func (r *Rule) check(path string, text []byte) (found []Breach, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	report := func(pos token.Pos, format string, args ...any) {
		found = append(found, Breach{File: path, Line: files.Position(pos).Line, Text: r.Room + " " + fmt.Sprintf(format, args...)})
	}
	for _, spec := range file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if why := r.forbids(name); why != "" {
			report(spec.Pos(), "%s %s", why, name)
		}
	}
	if r.Silent {
		ast.Inspect(file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.GoStmt:
				report(n.Pos(), "starts a goroutine")
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, n.Sel.Name) {
					report(n.Pos(), "reads a clock: time.%s", n.Sel.Name)
				}
			}
			return true
		})
	}
	return found, nil
}

// forbids says why the room may not import a package, or "".
func (r *Rule) forbids(name string) string {
	local := name
	if rest, ours := strings.CutPrefix(name, Module); ours {
		local = "./" + rest
	}
	self := "./" + r.Room
	if local == self || strings.HasPrefix(local, self+"/") {
		return ""
	}
	if matches(r.Never, local) {
		return "must never import"
	}
	standard := !strings.Contains(strings.SplitN(name, "/", 2)[0], ".")
	if r.Only != nil && !standard && !matches(r.Only, local) {
		return "is not among those who may import"
	}
	return ""
}

func matches(prefixes []string, name string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}
