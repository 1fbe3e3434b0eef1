package catalog

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
)

const minimal = `apiVersion: keelway.dev/v1alpha1
kind: Recipe
metadata: {name: demo}
spec:
  category: system
  description: A recipe for tests.
  homepage: https://example.org
  license: Apache-2.0
  versions: {default: 1.2.3, supported: ">=1 <2", known: [1.1.0, 1.2.0], source: {github: example/demo}}
  platforms: [{family: any}]
  parameters:
    type: object
    properties:
      text: {type: string, description: Any text., default: plain}
      count: {type: integer, description: A number., minimum: 1, maximum: 9, default: 3}
      ca: {type: string, description: A certificate.}
      tuning:
        type: object
        description: Nested.
        additionalProperties: false
        properties: {depth: {type: integer, default: 2}}
  files: [{path: /etc/demo/demo.conf, template: demo.conf.tmpl, mode: "0640", restarts: [demo]}]
  units: [{name: demo, template: demo.service.tmpl}]
  scripts: {check: check.sh, apply: apply.sh, health: health.sh, remove: remove.sh}
  outputs: {address: "{{ (index .Peers 0).Address }}"}
`

// demo is a small recipe on disk; change replaces text in recipe.yaml (old, new, old, new, …).
func demo(change ...string) fstest.MapFS {
	files := fstest.MapFS{
		"demo/demo.conf.tmpl":    {Data: []byte("text = {{ toJSON .Parameters.text }}\nroot = {{ .Root }}\n{{ range .Peers }}peer {{ .Name }} {{ .Address }}\n{{ end }}")},
		"demo/demo.service.tmpl": {Data: []byte("[Service]\nExecStart={{ .Root }}/usr/bin/sleep 60\n")},
	}
	for _, script := range []string{"check", "apply", "health", "remove"} {
		files["demo/"+script+".sh"] = &fstest.MapFile{Data: []byte("kw_" + script + "\n")}
	}
	files["demo/recipe.yaml"] = &fstest.MapFile{Data: []byte(strings.NewReplacer(change...).Replace(minimal))}
	return files
}

func loadDemo(t *testing.T, files fs.FS) *Recipe {
	t.Helper()
	c, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := c.Get("demo")
	if err != nil {
		t.Fatal(err)
	}
	return recipe
}

func TestLoadFaults(t *testing.T) {
	tests := map[string]struct {
		reason string
		files  fstest.MapFS
		want   []string // parts of the message
	}{
		"unknown field": {
			reason: "a field that does not work yet is refused by name, with the nearest one that does",
			files:  demo("category: system", "catgory: system"),
			want:   []string{"demo/recipe.yaml: spec.catgory: unknown; did you mean category?", "demo/recipe.yaml: spec: missing category"},
		},
		"several at once": {
			reason: "an author sees every fault at once",
			files:  demo("description: A recipe for tests.", "description: 7", `mode: "0640"`, `mode: "9"`, "family: any", "family: beos"),
			want:   []string{"spec.description: found number, want string", "spec.files[0].mode:", `spec.platforms[0].family: found "beos", want one of`},
		},
		"duplicate key":     {reason: "the second would win silently", files: demo("license: Apache-2.0", "license: MIT\n  license: MIT"), want: []string{"license"}},
		"other name":        {reason: "people find a recipe by its directory", files: demo("{name: demo}", "{name: other}"), want: []string{`metadata.name: found "other"`}},
		"version outside":   {reason: "the default must be installable", files: demo("default: 1.2.3", "default: 3.0.0"), want: []string{"spec.versions.default: 3.0.0 is not within"}},
		"version no source": {reason: "no version from memory", files: demo(", source: {github: example/demo}", ""), want: []string{"spec.versions: missing source"}},
		"digest no source": {
			reason: "no digest from memory",
			files:  demo("  files:", "  artifacts: [{name: x, url: \"https://e.org/x\", sha256: {amd64: "+strings.Repeat("a", 64)+"}}]\n  files:"),
			want:   []string{"spec.artifacts[0].sha256", "missing source"},
		},
		"no digest at all": {
			reason: "nothing is downloaded unchecked",
			files:  demo("  files:", "  artifacts: [{name: x, url: \"https://e.org/x\"}]\n  files:"),
			want:   []string{"spec.artifacts[0]: exactly one of the alternatives must be given: sha256, checksums"},
		},
		"price": {reason: "prices are not a recipe's business", files: demo("license:", "price: 7\n  license:"), want: []string{"spec.price: unknown"}},
		"missing file": {
			reason: "a script that is not there fails at load, not on a machine",
			files: func() fstest.MapFS {
				f := demo()
				delete(f, "demo/apply.sh")
				return f
			}(),
			want: []string{"demo/apply.sh: recipe.yaml names this file"},
		},
		"unused file": {
			reason: "a typo in recipe.yaml leaves the real file unused",
			files: func() fstest.MapFS {
				f := demo()
				f["demo/aply.sh"] = f["demo/apply.sh"]
				return f
			}(),
			want: []string{"demo/aply.sh: nothing in recipe.yaml uses"},
		},
		"broken template": {
			reason: "parsed at load",
			files: func() fstest.MapFS {
				f := demo()
				f["demo/demo.conf.tmpl"] = &fstest.MapFile{Data: []byte("{{ .Oops ")}
				return f
			}(),
			want: []string{"demo/demo.conf.tmpl:", "unclosed action"},
		},
		"template with chance": {
			reason: "the same input renders the same",
			files: func() fstest.MapFS {
				f := demo()
				f["demo/demo.conf.tmpl"] = &fstest.MapFile{Data: []byte(`{{ shuffle "abc" }}{{ env "HOME" }}`)}
				return f
			}(),
			want: []string{`function "shuffle" not defined`},
		},
		"remove reads a parameter": {
			reason: "parameters may be gone when remove runs",
			files: func() fstest.MapFS {
				f := demo()
				f["demo/remove.sh"] = &fstest.MapFile{Data: []byte(`rm "$KW_PARAM_TEXT"`)}
				return f
			}(),
			want: []string{"demo/remove.sh: reads a parameter"},
		},
		"reloads nothing":        {reason: "nor would the reload", files: demo("restarts: [demo]", "reloads: [dmeo]"), want: []string{"spec.files[0].reloads: no unit dmeo"}},
		"group without root":     {reason: "nobody else may give a file away", files: demo(`mode: "0640"`, `mode: "0640", group: demo`), want: []string{"spec.files[0].group: only root", "needs.root: true"}},
		"unit without a file":    {reason: "a plain daemon has no package that brings one", files: demo(", template: demo.service.tmpl", ""), want: []string{"spec.units[0].template: missing", "initSystem: systemd"}},
		"restarts nothing":       {reason: "the restart would never happen", files: demo("restarts: [demo]", "restarts: [dmeo]"), want: []string{"spec.files[0].restarts: no unit dmeo"}},
		"excludes what it wants": {reason: "could never be installed", files: demo("platforms:", "requires: [a]\n  conflicts: [a]\n  platforms:"), want: []string{"a is wanted and excluded"}},
		"itself":                 {reason: "a cycle of one", files: demo("platforms:", "requires: [demo]\n  platforms:"), want: []string{"spec.requires: the recipe names itself"}},
		"relative path":          {reason: "files have one place", files: demo("/etc/demo/demo.conf", "/etc/../demo.conf"), want: []string{"spec.files[0].path"}},
		"wrong default":          {reason: "a default must be valid", files: demo("default: 3}", "default: 30}"), want: []string{"spec.parameters.properties.count.default"}},
		"same variable": {
			reason: "two parameters would share one environment variable",
			files:  demo("      count:", "      tlsCAFile: {type: string, description: x}\n      tlsCaFile: {type: string, description: x}\n      count:"),
			want:   []string{"the same environment variable as tlsCAFile: KW_PARAM_TLS_CA_FILE"},
		},
		"undocumented parameter": {reason: "people see the description", files: demo("description: Any text., ", ""), want: []string{"properties.text.description: missing"}},
		"open parameters":        {reason: "an unknown parameter is an error", files: demo("    type: object\n    properties:\n      text", "    type: object\n    additionalProperties: true\n    properties:\n      text"), want: []string{"additionalProperties"}},
		"schema from outside":    {reason: "a recipe reads its own files only", files: demo("{type: string, description: A certificate.}", "{$ref: \"file:///etc/passwd\", type: string, description: x}"), want: []string{"spec.parameters"}},
		"output of one server":   {reason: "outputs belong to the service", files: demo("(index .Peers 0).Address", ".Self.Address"), want: []string{"spec.outputs.address: uses .Self"}},
		"stray file":             {reason: "a recipe is a directory", files: func() fstest.MapFS { f := demo(); f["x.yaml"] = &fstest.MapFile{}; return f }(), want: []string{"x.yaml: only directories"}},
		"no manifest":            {reason: "named", files: fstest.MapFS{"demo/apply.sh": {Data: []byte("x")}}, want: []string{"demo/recipe.yaml: there is none"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			_, err := Load(tt.files)
			if err == nil {
				t.Fatal("loaded")
			}
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
				t.Errorf("class %v, reason %v", fault.ClassOf(err), fault.ReasonOf(err))
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestGetSuggests(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for typo, want := range map[string][]string{"ectd": {"etcd"}, "etc": {"etcd"}, "ETCD": {"etcd"}, "postgres": nil, strings.Repeat("e", 5000): nil} {
		if diff := cmp.Diff(want, c.Suggest(typo)); diff != "" {
			t.Errorf("%.20s (-want +got):\n%s", typo, diff)
		}
	}
	_, err = c.Get("ectd")
	if fault.ReasonOf(err) != fault.ReasonRecipeNotFound || !fault.IsTerminal(err) || !strings.Contains(err.Error(), "did you mean etcd?") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Get(strings.Repeat("x", 1<<20)); len(err.Error()) > 1024 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}

func TestDigestFollowsEveryFile(t *testing.T) {
	base := loadDemo(t, demo()).Digest
	if again := loadDemo(t, demo()).Digest; again != base {
		t.Fatalf("not stable: %s, %s", base, again)
	}
	for name := range demo() {
		files := maps.Clone(demo())
		files[name] = &fstest.MapFile{Data: append([]byte(nil), append(files[name].Data, []byte("\n# changed\n")...)...)}
		if got := loadDemo(t, files).Digest; got == base {
			t.Errorf("a change of %s leaves the digest as it is", name)
		}
	}
}

// TestBuiltinRecipes holds every recipe that we ship to what the catalog promises.
func TestBuiltinRecipes(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Names() {
		recipe, _ := c.Get(name)
		if recipe.Versions.Source == (Source{}) {
			t.Errorf("%s: versions without a source", name)
		}
		for _, artifact := range recipe.Artifacts {
			if artifact.Checksums == nil && artifact.SHA256["source"] == "" {
				t.Errorf("%s: artifact %s: digests without a source", name, artifact.Name)
			}
		}
		for _, constraint := range append([]string{"", recipe.Versions.Default}, recipe.Versions.Known...) {
			if _, err := recipe.Resolve(constraint); err != nil {
				t.Errorf("%s: version %q: %v", name, constraint, err)
			}
		}
		for _, needed := range append(recipe.Requires, recipe.Recommends...) {
			if _, err := c.Get(needed); err != nil && c.offers(needed) == "" {
				t.Errorf("%s wants %s, which no recipe is", name, needed)
			}
		}
		for _, body := range recipe.scripts {
			if strings.Contains(body, "{{") {
				t.Errorf("%s: a script is a template; scripts are static text", name)
			}
		}
	}
}
