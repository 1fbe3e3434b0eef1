package catalog

// Manifest is recipe.yaml: the Recipe form of the API, on disk. manifest.schema.yaml says what each field admits.
type Manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec Spec `json:"spec"`
}

// Spec says how one service is installed, configured, checked and removed.
type Spec struct {
	Category    string   `json:"category"`
	Description string   `json:"description"`
	Homepage    string   `json:"homepage"`
	License     string   `json:"license"` // SPDX expression of the service, not of the recipe
	Versions    Versions `json:"versions"`

	Provides   []string `json:"provides"`   // virtual names that other recipes may require
	Requires   []string `json:"requires"`   // must be there, and before
	Recommends []string `json:"recommends"` // before, when it is there
	Conflicts  []string `json:"conflicts"`  // must not be there

	Platforms []Platform `json:"platforms"`
	Needs     Needs      `json:"needs"`

	// Parameters is a JSON Schema of type object. It is closed: an undeclared parameter is an error.
	Parameters map[string]any `json:"parameters"`
	Artifacts  []Artifact     `json:"artifacts"`
	Files      []File         `json:"files"`
	Units      []Unit         `json:"units"`
	Scripts    ScriptNames    `json:"scripts"`
	// Outputs are templates of values that the service offers to others, by name.
	Outputs map[string]string `json:"outputs"`
}

// Versions says which versions there are and where that is known from.
type Versions struct {
	Default   string   `json:"default"`
	Supported string   `json:"supported"` // a semver constraint
	Known     []string `json:"known"`     // what a range chooses from, with the default
	Source    Source   `json:"source"`
}

// Source is where a version can be looked up; exactly one field is set.
type Source struct {
	GitHub   string `json:"github,omitempty"`   // owner/repository whose releases are the versions
	GoModule string `json:"goModule,omitempty"` // path of a module whose tags are the versions
	URL      string `json:"url,omitempty"`
}

// Platform is a family of operating systems: debian, rhel or any.
type Platform struct {
	Family string `json:"family"`
}

// Needs is what a machine must have. The zero value asks for nothing.
type Needs struct {
	MemoryMiB  int    `json:"memoryMiB"`
	Root       bool   `json:"root"`
	InitSystem string `json:"initSystem"` // systemd, or any (also when empty): plain daemons will do
}

// Artifact is something to download. Exactly one of SHA256 and Checksums says what it must be.
type Artifact struct {
	Name string `json:"name"`
	URL  string `json:"url"` // template
	// SHA256 holds a digest an architecture, and under "source" where the digests come from.
	SHA256    map[string]string `json:"sha256"`
	Checksums *Checksums        `json:"checksums"`
}

// Checksums is a published list of digests that holds the artifact's.
type Checksums struct {
	URL    string `json:"url"`    // template
	Format string `json:"format"` // sha256sum: lines "digest  name"
}

// File is a configuration file on the machine.
type File struct {
	Path     string   `json:"path"` // absolute
	Template string   `json:"template"`
	Mode     string   `json:"mode"`
	Group    string   `json:"group"`    // the file is root's and this group's; absent: it belongs to whoever runs the scripts
	Restarts []string `json:"restarts"` // units to restart when the file changed
	Reloads  []string `json:"reloads"`  // units to reload when the file changed
}

// Unit is a daemon: a systemd unit file, whose ExecStart is also the command line where there is no systemd. Without a template it
// is a unit that a package brings.
type Unit struct {
	Name     string `json:"name"`
	Template string `json:"template"`
}

// ScriptNames are the files of the four scripts.
type ScriptNames struct {
	Check  string `json:"check"`
	Apply  string `json:"apply"`
	Health string `json:"health"`
	Remove string `json:"remove"`
}
