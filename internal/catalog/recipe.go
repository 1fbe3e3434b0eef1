package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// Recipe is one entry of the catalog, checked and ready to render. It never changes after Load.
type Recipe struct {
	Name string
	Spec
	// Digest is "sha256:…" over every file of the recipe and the shell library: it changes when an install could.
	Digest string

	parameters *schema
	templates  map[string]*template.Template // by where the text stands: a file's name, or a field of recipe.yaml
	scripts    map[string]string             // check, apply, health, remove → the whole body, library included
}

// A recipe is small; these bounds keep a mistake from filling memory.
const (
	maxRecipeFiles = 64
	maxRecipeBytes = 256 << 10 // one file
)

// loader reads one recipe and collects what is wrong with it.
type loader struct {
	dir   string
	files map[string][]byte
	used  map[string]bool
	faults
}

func (l *loader) fault(file, field, format string, args ...any) {
	l.add(path.Join(l.dir, file), field, fmt.Sprintf(format, args...))
}

// loadRecipe reads the recipe in dir. With faults the recipe is nil.
func loadRecipe(fsys fs.FS, dir, shell string) (*Recipe, faults) {
	l := &loader{dir: dir, files: map[string][]byte{}, used: map[string]bool{manifestFile: true}}
	l.readAll(fsys)
	text, ok := l.files[manifestFile]
	if !ok {
		l.fault(manifestFile, "", "there is none")
		return nil, l.faults
	}
	manifest, ok := l.decode(text)
	if !ok {
		return nil, l.faults
	}
	r := &Recipe{Name: manifest.Metadata.Name, Spec: manifest.Spec, templates: map[string]*template.Template{}, scripts: map[string]string{}}
	if r.Name != dir {
		l.fault(manifestFile, "metadata.name", "found %q, want the name of its directory", r.Name)
	}
	l.checkVersions(r)
	l.checkNames(r)
	l.compileParameters(r)
	l.parseTemplates(r)
	l.readScripts(r, shell)
	for name := range l.files {
		if !l.used[name] {
			l.fault(name, "", "nothing in recipe.yaml uses this file")
		}
	}
	if len(l.faults) > 0 {
		sort.Strings(l.faults)
		return nil, l.faults
	}
	r.Digest = digestOf(l.files, shell)
	return r, nil
}

const manifestFile = "recipe.yaml"

func (l *loader) readAll(fsys fs.FS) {
	entries, err := fs.ReadDir(fsys, l.dir)
	if err != nil {
		l.fault("", "", "%v", err)
		return
	}
	if len(entries) > maxRecipeFiles {
		l.fault("", "", "%d files; a recipe has at most %d", len(entries), maxRecipeFiles)
		return
	}
	for _, entry := range entries {
		text, err := fs.ReadFile(fsys, path.Join(l.dir, entry.Name()))
		switch {
		case err != nil:
			l.fault(entry.Name(), "", "%v", err)
		case len(text) > maxRecipeBytes:
			l.fault(entry.Name(), "", "%d bytes; at most %d", len(text), maxRecipeBytes)
		default:
			l.files[entry.Name()] = text
		}
	}
}

// decode checks recipe.yaml against its schema first: the schema sees every fault at once, a decoder only the first.
func (l *loader) decode(text []byte) (*Manifest, bool) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		l.fault(manifestFile, "", "%v", err)
		return nil, false
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		l.fault(manifestFile, "", "%v", err)
		return nil, false
	}
	schema, err := manifestSchema()
	if err != nil {
		l.fault(manifestFile, "", "%v", err)
		return nil, false
	}
	for _, m := range schema.check(value) {
		l.fault(manifestFile, m.field(), "%s", m.message)
	}
	if len(l.faults) > 0 {
		return nil, false
	}
	manifest := &Manifest{}
	if err := json.Unmarshal(asJSON, manifest); err != nil {
		l.fault(manifestFile, "", "%v", err)
		return nil, false
	}
	return manifest, true
}

// checkNames refuses names that contradict each other.
func (l *loader) checkNames(r *Recipe) {
	for field, names := range map[string][]string{"requires": r.Requires, "recommends": r.Recommends, "conflicts": r.Conflicts, "provides": r.Provides} {
		if slices.Contains(names, r.Name) {
			l.fault(manifestFile, "spec."+field, "the recipe names itself")
		}
	}
	for _, name := range r.Conflicts {
		if slices.Contains(r.Requires, name) || slices.Contains(r.Recommends, name) {
			l.fault(manifestFile, "spec.conflicts", "%s is wanted and excluded at once", name)
		}
	}
	units := map[string]bool{}
	for i, unit := range r.Units {
		if units[unit.Name] {
			l.fault(manifestFile, field("spec.units", i, "name"), "%s is there twice", unit.Name)
		}
		units[unit.Name] = true
		if unit.Template == "" && r.Needs.InitSystem != "systemd" {
			l.fault(manifestFile, field("spec.units", i, "template"), "missing; a unit that a package brings needs needs.initSystem: systemd")
		}
	}
	paths := map[string]bool{}
	for i, file := range r.Files {
		if paths[file.Path] {
			l.fault(manifestFile, field("spec.files", i, "path"), "%s is there twice", file.Path)
		}
		paths[file.Path] = true
		for what, names := range map[string][]string{"restarts": file.Restarts, "reloads": file.Reloads} {
			for _, unit := range names {
				if !units[unit] {
					l.fault(manifestFile, field("spec.files", i, what), "no unit %s in spec.units", unit)
				}
			}
		}
		if file.Group != "" && !r.Needs.Root {
			l.fault(manifestFile, field("spec.files", i, "group"), "only root gives a file to a group: it needs needs.root: true")
		}
	}
	artifacts := map[string]bool{}
	for i, artifact := range r.Artifacts {
		if artifacts[artifact.Name] {
			l.fault(manifestFile, field("spec.artifacts", i, "name"), "%s is there twice", artifact.Name)
		}
		artifacts[artifact.Name] = true
	}
}

// parseTemplates parses everything that is rendered.
func (l *loader) parseTemplates(r *Recipe) {
	parse := func(file, where, text string) {
		t, err := parseTemplate(where, text)
		if err != nil {
			l.fault(file, "", "%v", err)
			return
		}
		r.templates[where] = t
	}
	fromFile := func(name string) {
		if text, ok := l.read(name); ok {
			parse(name, name, text)
		}
	}
	for _, file := range r.Files {
		fromFile(file.Template)
	}
	for _, unit := range r.Units {
		if unit.Template != "" {
			fromFile(unit.Template)
		}
	}
	for i, artifact := range r.Artifacts {
		parse(manifestFile, field("spec.artifacts", i, "url"), artifact.URL)
		if artifact.Checksums != nil {
			parse(manifestFile, field("spec.artifacts", i, "checksums.url"), artifact.Checksums.URL)
		}
	}
	for name, text := range r.Outputs {
		parse(manifestFile, "spec.outputs."+name, text)
		if strings.Contains(text, ".Self") {
			l.fault(manifestFile, "spec.outputs."+name, "uses .Self; an output is the same on every server of the service")
		}
	}
}

// readScripts puts the library before each script. A body is never a template: what people write reaches it as data only.
func (l *loader) readScripts(r *Recipe, shell string) {
	for action, name := range map[string]string{"check": r.Scripts.Check, "apply": r.Scripts.Apply, "health": r.Scripts.Health, "remove": r.Scripts.Remove} {
		text, ok := l.read(name)
		if !ok {
			continue
		}
		if strings.Contains(text, "\r") {
			l.fault(name, "", "ends its lines with carriage returns, which a shell takes for text")
		}
		if action == "remove" && strings.Contains(text, "KW_PARAM_") {
			l.fault(name, "", "reads a parameter; remove works from the machine's own record, because parameters and peers may be gone by then")
		}
		r.scripts[action] = shell + "\n# " + r.Name + ": " + action + "\n" + text
	}
}

// read returns a file that recipe.yaml names.
func (l *loader) read(name string) (string, bool) {
	l.used[name] = true
	text, ok := l.files[name]
	switch {
	case !ok:
		l.fault(name, "", "recipe.yaml names this file, and it is not there")
	case strings.TrimSpace(string(text)) == "":
		l.fault(name, "", "empty")
	}
	return string(text), ok
}

func digestOf(files map[string][]byte, shell string) string {
	h := sha256.New()
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	part := func(text string) { fmt.Fprintf(h, "%d:%s", len(text), text) } // lengths keep the parts apart
	for _, name := range names {
		part(name)
		part(string(files[name]))
	}
	part(shell)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// field is the path of a field of a list's element.
func field(list string, i int, name string) string {
	return list + "[" + strconv.Itoa(i) + "]." + name
}
