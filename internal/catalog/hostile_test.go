package catalog

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// FuzzParametersOfRecipes: no text parameter of a built-in recipe, given or from a Secret, admits what a shell or the daemon's own
// configuration would act upon; and what is admitted changes no script, only its own variable and files.
func FuzzParametersOfRecipes(f *testing.F) {
	for _, text := range []string{"", "a", "'", `"`, "\\", "a\nb", "a b", "$(touch pwned)", "`id`", "--flags", "-x", "; rm -rf /", "a}\nserver {", "10.0.0.1:80", "http://a:1,b:2/", "a:1 check\n\tserver x b:2",
		"/srv/www", "/a/../b", "/a/..", "correct-horse#1", "pass word", "10.0.0.0/8", "x{{ .Secrets }}", "@KEELWAY_ROOT@", "host.example.org", "registry.example.org:5000/pause:3.10", "\x00", "ü"} {
		f.Add(text)
	}
	c, err := Builtin()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range c.Names() {
			recipe, _ := c.Get(name)
			for _, parameter := range recipe.parameters.properties(nil) {
				tryParameter(t, recipe, parameter, text)
			}
		}
	})
}

func tryParameter(t *testing.T, recipe *Recipe, parameter, text string) {
	schema, _ := recipe.parameters.at([]string{parameter}).(map[string]any)
	given := map[string]any{}
	switch schema["type"] {
	case "string":
		given[parameter] = text
	case "array":
		given[parameter] = []any{text}
	default:
		return
	}
	if recipe.Name == "haproxy" && parameter != "backends" {
		given["backends"] = "10.0.1.1:80"
	}
	node := Node{Name: "a", Address: "10.0.0.1", Facts: Facts{Arch: "amd64"}}
	in := Input{Service: "s", Version: recipe.Versions.Default, Self: node, Peers: []Node{node}}
	admitted, err := recipe.Validate(given)
	if err == nil {
		in.Parameters = admitted
		judge(t, recipe, parameter, text, in)
	}
	if schema["type"] == "string" {
		delete(given, parameter)
		if in.Parameters, err = recipe.Validate(given, parameter); err == nil {
			in.Secrets = map[string]string{parameter: text}
			judge(t, recipe, parameter, text, in)
		}
	}
}

// judge renders: what is refused here is as well as what is refused before.
func judge(t *testing.T, recipe *Recipe, parameter, text string, in Input) {
	out, err := recipe.Render(in)
	if err != nil {
		return
	}
	if strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("'\"\\`", r)
	}) || strings.HasPrefix(text, "-") ||
		strings.Contains(text, "/..") && parameter != "healthPath" {
		t.Errorf("recipe %s, parameter %s admits %q", recipe.Name, parameter, text)
	}
	for action, script := range map[string]Script{"check": out.Check, "apply": out.Apply, "health": out.Health} {
		if script.Body != recipe.scripts[action] {
			t.Errorf("recipe %s: the text of %s depends on parameter %s", recipe.Name, action, parameter)
		}
	}
	if len(in.Secrets) > 0 && len(text) > 12 {
		for _, name := range slices.Sorted(maps.Keys(out.Apply.Env)) {
			if strings.Contains(out.Apply.Env[name], text) {
				t.Errorf("recipe %s: the secret %s is in variable %s", recipe.Name, parameter, name)
			}
		}
	}
}
