// Package docs holds what people read. Its tests know what the pages must keep up with: fields, reasons, files, examples. They must
// not know how anything works.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = ".."

// pages say where each kind is explained.
var pages = map[string]string{
	"Provider": "provider.md", "Server": "server.md", "TaskService": "taskservice.md", "Run": "run.md",
	"BatchWorkflow": "batchworkflow.md", "Checkpoint": "batchworkflow.md",
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence = regexp.MustCompile("(?s)```.*?```")
	span  = regexp.MustCompile("`[^`\n]+`")
	word  = regexp.MustCompile(`[A-Za-z][A-Za-z0-9]*`)
)

// code is every word that a page writes as code: in a block, or between backticks.
func code(page string) map[string]bool {
	words := map[string]bool{}
	blocks := fence.FindAllString(page, -1)
	for _, text := range append(blocks, span.FindAllString(fence.ReplaceAllString(page, ""), -1)...) {
		for _, w := range word.FindAllString(text, -1) {
			words[w] = true
		}
	}
	return words
}

// definition is what is read of a CRD.
type definition struct {
	Spec struct {
		Names struct {
			Kind       string
			ShortNames []string
		}
		Versions []struct {
			Schema                   struct{ OpenAPIV3Schema schema }
			AdditionalPrinterColumns []struct{ Name string }
		}
	}
}

type schema struct {
	Properties map[string]schema
	Items      *schema
}

// TestEveryFieldIsExplained walks the schemas: a field that works is on its kind's page.
func TestEveryFieldIsExplained(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) != len(pages) {
		t.Fatalf("%d CRDs, and %d kinds with a page: %v", len(files), len(pages), err)
	}
	for _, file := range files {
		var crd definition
		if err := yaml.Unmarshal([]byte(read(t, file)), &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kind := crd.Spec.Names.Kind
		t.Run(kind, func(t *testing.T) {
			if pages[kind] == "" {
				t.Fatal("it has no page")
			}
			known, walked := code(read(t, pages[kind])), 0
			for _, version := range crd.Spec.Versions {
				for _, part := range []string{"spec", "status"} {
					for _, path := range fields(part, version.Schema.OpenAPIV3Schema.Properties[part]) {
						walked++
						if name := path[strings.LastIndexByte(path, '.')+1:]; !known[name] {
							t.Errorf("%s does not mention `%s`, the end of %s", pages[kind], name, path)
						}
					}
				}
			}
			if walked == 0 {
				t.Error("no field was found: the search is broken")
			}
			for _, short := range crd.Spec.Names.ShortNames {
				if !known[short] {
					t.Errorf("%s does not mention the short name %s", pages[kind], short)
				}
			}
			for _, column := range crd.Spec.Versions[0].AdditionalPrinterColumns {
				if name := strings.ToUpper(column.Name); kind != "Checkpoint" && !strings.Contains(read(t, pages[kind]), name) {
					t.Errorf("%s does not mention the column %s", pages[kind], name)
				}
			}
		})
	}
}

// foreign are fields whose inside Kubernetes explains.
var foreign = []string{"conditions", "selector"}

func fields(path string, of schema) []string {
	if of.Items != nil {
		return fields(path, *of.Items)
	}
	var all []string
	for name, property := range of.Properties {
		all = append(all, path+"."+name)
		if !slices.Contains(foreign, name) {
			all = append(all, fields(path+"."+name, property)...)
		}
	}
	return all
}

// TestEveryReasonIsExplained reads the constants from their source: a reason that somebody adds is on the page, or this is red.
func TestEveryReasonIsExplained(t *testing.T) {
	page := read(t, "errors.md")
	for file, least := range map[string]int{"internal/fault/reason.go": 40, "api/v1alpha1/conditions.go": 10} {
		reasons := constants(t, filepath.Join(root, filepath.FromSlash(file)), "Reason")
		if len(reasons) < least {
			t.Errorf("%s: %d reasons were found, and there are at least %d", file, len(reasons), least)
		}
		for name, value := range reasons {
			if !strings.Contains(page, "`"+value+"`") {
				t.Errorf("errors.md does not explain `%s` (%s in %s)", value, name, file)
			}
		}
	}
	conditions := constants(t, filepath.Join(root, "api", "v1alpha1", "conditions.go"), "")
	for name, value := range conditions {
		if strings.HasSuffix(name, "Condition") && !strings.Contains(page, value) {
			t.Errorf("errors.md does not mention the condition %s", value)
		}
	}
}

// constants are the text constants of a Go file whose names begin with prefix.
func constants(t *testing.T, path, prefix string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		if text, ok := spec.Values[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
			found[spec.Names[0].Name], _ = strconv.Unquote(text.Value)
		}
		return true
	})
	return found
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksLeadSomewhere follows every relative link of README.md and of the pages.
func TestLinksLeadSomewhere(t *testing.T) {
	followed := 0
	for _, page := range append(markdown(t), filepath.Join(root, "README.md")) {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			followed++
			path := filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			if target == "" {
				path = page
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %s leads nowhere", page, match[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
				t.Errorf("%s: %s has no heading %s", page, target, anchor)
			}
		}
	}
	if followed < 20 {
		t.Errorf("%d links were followed: the search is broken", followed)
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

func anchors(page string) (all []string) {
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		plain := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
				return r
			}
			return -1
		}, strings.ToLower(match[1]))
		all = append(all, plain)
	}
	return all
}

// markdown lists the pages below docs/.
func markdown(t *testing.T) (pages []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// TestMetricsAreTold: every metric that the controllers define is on the page, and no other.
func TestMetricsAreTold(t *testing.T) {
	defined := regexp.MustCompile(`"(keelway_[a-z_]+)"`)
	named := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "controllers"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range defined.FindAllStringSubmatch(read(t, path), -1) {
			named[m[1]] = true
		}
		return nil
	})
	if err != nil || len(named) == 0 {
		t.Fatalf("%d metrics are defined: %v", len(named), err)
	}
	page := read(t, "metrics.md")
	for name := range named {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("metrics.md does not tell of %s", name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(keelway_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if !named[m[1]] {
			t.Errorf("metrics.md tells of %s, which nobody defines", m[1])
		}
	}
}

// TestAlertsLookAtMetrics: an alert on a number that nobody tells would never ring.
func TestAlertsLookAtMetrics(t *testing.T) {
	page, rules := read(t, "metrics.md"), read(t, filepath.Join(root, "config", "prometheus", "rules.yaml"))
	used := regexp.MustCompile(`\b(keelway_[a-z_]+)`).FindAllStringSubmatch(rules, -1)
	if len(used) == 0 || strings.Count(rules, "- alert: ") > strings.Count(rules, "summary: ") {
		t.Fatalf("%d metrics in the rules, or an alert without a summary", len(used))
	}
	for _, m := range used {
		if !strings.Contains(page, "| `"+strings.TrimSuffix(m[1], "_bucket")+"` |") {
			t.Errorf("an alert looks at %s, which metrics.md does not tell of", m[1])
		}
	}
}
