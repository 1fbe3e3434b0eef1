package fence

import (
	"os"
	"testing"
	"testing/fstest"
)

// TestFencesHold is the fence of the house. Run it after every new import.
func TestFencesHold(t *testing.T) {
	found, err := Breaches(os.DirFS("../.."), Rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range found {
		t.Error(breach)
	}
}

func TestBreachesAreFound(t *testing.T) {
	rules := []Rule{
		{Room: "internal/plan", Never: []string{"context", "./internal/provider"}, Silent: true},
		{Room: "internal/saga", Only: []string{}},
		{Room: "internal/provider", Only: []string{"./internal/fault"}},
	}
	quiet := map[string]string{
		"internal/plan/a.go":     "package plan",
		"internal/saga/a.go":     `package saga; import "fmt"`,
		"internal/provider/a.go": `package provider; import _ "github.com/keelway/keelway/internal/fault"`,
	}
	cases := map[string]struct {
		reason, file, text string
		want               int
	}{
		"clean":            {"the rooms as they should be", "internal/plan/b.go", `package plan; import "time"; var _ time.Duration`, 0},
		"forbidden":        {"a deciding room gets no context", "internal/plan/b.go", `package plan; import _ "context"`, 1},
		"a door":           {"a deciding room opens no door, nor a room behind it", "internal/plan/b.go", `package plan; import _ "github.com/keelway/keelway/internal/provider/mem"`, 1},
		"a clock":          {"now is an argument", "internal/plan/b.go", `package plan; import "time"; var _ = time.Now()`, 1},
		"a goroutine":      {"deciding is silent", "internal/plan/b.go", "package plan\nfunc f() { go f() }", 1},
		"not on the list":  {"the floor takes the standard library only", "internal/saga/b.go", `package saga; import _ "golang.org/x/sync/errgroup"`, 1},
		"a nested room":    {"a room below a fenced one is fenced too", "internal/provider/aws/b.go", `package aws; import _ "k8s.io/client-go/kubernetes"`, 1},
		"inside the fence": {"a room may import what lies below it", "internal/provider/aws/b.go", `package aws; import _ "github.com/keelway/keelway/internal/provider"`, 0},
		"a test":           {"tests may look over any fence", "internal/plan/b_test.go", `package plan; import _ "context"`, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{tc.file: {Data: []byte(tc.text)}}
			for path, text := range quiet {
				tree[path] = &fstest.MapFile{Data: []byte(text)}
			}
			found, err := Breaches(tree, rules)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != tc.want {
				t.Errorf("%s: want %d breaches, found %v", tc.reason, tc.want, found)
			}
		})
	}
}

func TestAFenceAroundNothingIsRefused(t *testing.T) {
	if _, err := Breaches(fstest.MapFS{"a.go": {Data: []byte("package a")}}, []Rule{{Room: "internal/plna"}}); err == nil {
		t.Error("a rule with a misspelt room protects nothing and must be refused")
	}
}
