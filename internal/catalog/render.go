package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// Input is everything that a rendering depends on, for one server of one service.
type Input struct {
	Service    string         // the TaskService's name: DNS label
	Version    string         // exact, as Resolve returns it
	Parameters map[string]any // as Validate returns them
	Self       Node
	Peers      []Node            // all servers of the service, Self among them, in any order
	Secrets    map[string]string // values of parameters that come from Secrets, by parameter
	Mirrors    []Mirror
}

// Script is one script to run on a machine: the runner's Script is made from it field by field.
type Script struct {
	Body    string            // shell library and script: static text, the same for every input
	Env     map[string]string // KW_…; no secrets
	Files   map[string][]byte // inputs by name, secrets among them
	Timeout time.Duration
}

// Rendered is a recipe with everything filled in. Check, Apply and Health share environment and files. Remove has neither
// parameters nor files: see Recipe.Removal.
type Rendered struct {
	Digest  string // "sha256:…" over all scripts and outputs: it changes when an install could
	Check   Script
	Apply   Script
	Health  Script
	Remove  Script
	Outputs map[string]string
}

// How long each script may take. Download and package installation are in apply; health polls for a bounded time itself.
const (
	checkTimeout  = time.Minute
	applyTimeout  = 15 * time.Minute
	healthTimeout = time.Minute
	removeTimeout = 5 * time.Minute
)

const (
	maxPeers       = 1000
	maxOutputBytes = 4 << 10 // all outputs of a service together
)

// Render fills the recipe in. The same input gives the same Rendered, whatever the order of peers and mirrors. What people wrote
// reaches scripts as environment and files only. Errors are Terminal and name the field or template.
func (r *Recipe) Render(in Input) (Rendered, error) {
	v, err := r.values(in)
	if err != nil {
		return Rendered{}, err
	}
	outputs, err := r.renderOutputs(v)
	if err != nil {
		return Rendered{}, err
	}
	env, err := r.environment(in, v, outputs)
	if err != nil {
		return Rendered{}, err
	}
	files, err := r.renderFiles(in, v)
	if err != nil {
		return Rendered{}, err
	}
	script := func(action string, timeout time.Duration) Script {
		return Script{Body: r.scripts[action], Env: maps.Clone(env), Files: maps.Clone(files), Timeout: timeout}
	}
	out := Rendered{Check: script("check", checkTimeout), Apply: script("apply", applyTimeout), Health: script("health", healthTimeout),
		Remove: r.Removal(in.Service), Outputs: outputs}
	text, err := json.Marshal(out) // maps are marshalled in the order of their keys
	if err != nil {
		return Rendered{}, fault.New(fault.Terminal, fault.ReasonInternal, "hashing recipe %s: %w", r.Name, err)
	}
	sum := sha256.Sum256(text)
	out.Digest = "sha256:" + hex.EncodeToString(sum[:])
	return out, nil
}

// Removal is the script that removes the service from a machine. It needs only the service's name: apply keeps a record on the
// machine of all that it made, so that removing works after parameters, peers, secrets or the recipe itself have changed.
func (r *Recipe) Removal(service string) Script {
	return Script{Body: r.scripts["remove"], Env: map[string]string{"KW_SERVICE": service, "KW_RECIPE": r.Name}, Timeout: removeTimeout}
}

// values checks the input and sorts it.
func (r *Recipe) values(in Input) (values, error) {
	invalid := func(format string, args ...any) (values, error) {
		return values{}, fault.During(fault.New(fault.Terminal, fault.ReasonInvalid, format, args...), "rendering recipe %s", r.Name)
	}
	if !dnsLabel.MatchString(in.Service) {
		return invalid("service %q is not a DNS label", clip(in.Service))
	}
	if len(in.Peers) > maxPeers {
		return invalid("%d servers; at most %d", len(in.Peers), maxPeers)
	}
	peers := slices.Clone(in.Peers)
	slices.SortFunc(peers, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	self := false
	for i, peer := range peers {
		switch {
		case !dnsName.MatchString(peer.Name):
			return invalid("server %q is not a DNS name", clip(peer.Name))
		case !address.MatchString(peer.Address):
			return invalid("server %s: %q is no address", peer.Name, clip(peer.Address))
		case i > 0 && peers[i-1].Name == peer.Name:
			return invalid("server %s is there twice", peer.Name)
		}
		self = self || peer == in.Self
	}
	if !self {
		return invalid("server %q is not among its own peers", clip(in.Self.Name))
	}
	for name, value := range in.Secrets {
		property, _ := r.parameters.at([]string{name}).(map[string]any)
		if property["type"] != "string" {
			return invalid("secret %q is no text parameter", clip(name))
		}
		if len(value) > maxParameterBytes {
			return invalid("secret %s: %d bytes; at most %d", name, len(value), maxParameterBytes)
		}
		if !r.admits(property, value) {
			return invalid("the value of parameter %s from its Secret does not fit its schema (is there a line break at its end?); wanted is %s", name, wanted(property))
		}
	}
	if err := checkMirrors(in.Mirrors); err != nil {
		return values{}, err
	}
	return values{Service: in.Service, Version: in.Version, Arch: in.Self.Facts.Arch, Root: rootMark,
		Parameters: in.Parameters, Self: in.Self, Peers: peers, Secrets: in.Secrets}, nil
}

// admits says whether the value of a Secret fits the parameter's schema. Nothing of the value comes out.
func (r *Recipe) admits(property map[string]any, value string) bool {
	alone, err := compileSchema(clone(property))
	return err == nil && len(alone.check(value)) == 0
}

// wanted is what a schema says of a text, for people.
func wanted(property map[string]any) string {
	bounds := map[string]any{}
	for _, name := range []string{"pattern", "minLength", "maxLength", "enum"} {
		if bound, ok := property[name]; ok {
			bounds[name] = bound
		}
	}
	return show(bounds)
}

// environment is what scripts see: parameters as KW_PARAM_CLIENT_PORT (texts as they are, anything else as JSON), outputs as
// KW_OUTPUT_ENDPOINTS, artifacts as KW_ARTIFACT_…. Secrets are files only, because daemons and tools hand environments on.
func (r *Recipe) environment(in Input, v values, outputs map[string]string) (map[string]string, error) {
	env, err := r.artifactVariables(in, v)
	if err != nil {
		return nil, err
	}
	env["KW_SERVICE"], env["KW_RECIPE"], env["KW_VERSION"] = in.Service, r.Name, in.Version
	env["KW_SELF"], env["KW_ADDRESS"], env["KW_ARCH"] = in.Self.Name, in.Self.Address, v.Arch
	env["KW_HOST"] = in.Self.Address // as it stands in a URL
	if strings.Contains(in.Self.Address, ":") {
		env["KW_HOST"] = "[" + in.Self.Address + "]"
	}
	for name, value := range in.Parameters {
		if !parameterName.MatchString(name) {
			return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "rendering recipe %s: %q is no parameter's name", r.Name, clip(name))
		}
		text, ok := value.(string)
		if !ok {
			encoded, err := json.Marshal(value)
			if err != nil {
				return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "rendering recipe %s: parameter %s: %w", r.Name, name, err)
			}
			text = string(encoded)
		}
		env["KW_PARAM_"+upperSnake(name)] = text
	}
	for name, value := range outputs {
		env["KW_OUTPUT_"+upperSnake(name)] = value
	}
	return env, nil
}

// renderFiles makes the inputs: file-N a configuration file, unit-NAME a unit, secret-NAME a secret, and the list "files" that
// tells the shell library where each belongs (name, mode, group or "-", path, units to restart and, as reload:NAME, to reload;
// separated by tabs).
func (r *Recipe) renderFiles(in Input, v values) (map[string][]byte, error) {
	files := map[string][]byte{}
	var list strings.Builder
	for i, file := range r.Files {
		text, err := r.execute(file.Template, v)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("file-%d", i)
		files[name] = []byte(text)
		units := slices.Clone(file.Restarts)
		for _, unit := range file.Reloads {
			units = append(units, "reload:"+unit)
		}
		fmt.Fprintf(&list, "%s\t%s\t%s\t%s\t%s\n", name, file.Mode, cmp.Or(file.Group, "-"), file.Path, strings.Join(units, " "))
	}
	files["files"] = []byte(list.String())
	for _, unit := range r.Units {
		if unit.Template == "" {
			continue
		}
		text, err := r.execute(unit.Template, v)
		if err != nil {
			return nil, err
		}
		if err := r.checkUnit(unit, text); err != nil {
			return nil, err
		}
		files["unit-"+unit.Name] = []byte(text)
	}
	for name, value := range in.Secrets {
		files["secret-"+name] = []byte(value)
	}
	return files, nil
}

func (r *Recipe) renderOutputs(v values) (map[string]string, error) {
	outputs, total := map[string]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
		text, err := r.execute("spec.outputs."+name, v)
		if err != nil {
			return nil, err
		}
		if total += len(name) + len(text); total > maxOutputBytes {
			return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "rendering recipe %s: outputs are longer than %d bytes", r.Name, maxOutputBytes)
		}
		outputs[name] = text
	}
	return outputs, nil
}
