package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
)

// maxParameterBytes bounds all parameters of one service together, as JSON, and each value that comes from a Secret.
const maxParameterBytes = 64 << 10

// Validate checks parameters against the recipe's schema and returns them with defaults filled in: whole numbers as int64, others
// as float64. fromSecrets names the parameters that are given by reference: they count as given, and must be declared as strings.
// The error is Terminal, Invalid and lists every fault: the parameter, what was found, what is wanted, the nearest name.
func (r *Recipe) Validate(parameters map[string]any, fromSecrets ...string) (map[string]any, error) {
	if parameters == nil {
		parameters = map[string]any{}
	}
	invalid := func(format string, args ...any) error {
		return fault.During(fault.New(fault.Terminal, fault.ReasonInvalid, format, args...), "parameters of recipe %s", r.Name)
	}
	text, err := json.Marshal(parameters)
	if err != nil {
		return nil, invalid("%w", err)
	}
	if len(text) > maxParameterBytes {
		return nil, invalid("%d bytes together; at most %d", len(text), maxParameterBytes)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, invalid("%w", err)
	}
	given := value.(map[string]any)
	var found []string
	secret := map[string]bool{}
	known := r.parameters.properties(nil)
	for _, name := range fromSecrets {
		secret[name] = true
		declared, ok := r.parameters.at([]string{name}).(map[string]any)
		switch _, twice := given[name]; {
		case !ok:
			found = append(found, clip(name)+": unknown"+nearest.Hint(name, known))
		case declared["type"] != "string":
			found = append(found, fmt.Sprintf("%s: wants %s, and a Secret holds text", name, show(declared["type"])))
		case twice:
			found = append(found, name+": given as a value and from a Secret")
		}
	}
	for _, m := range r.parameters.check(value) {
		if message, ok := m.without(secret); ok {
			found = append(found, strings.TrimPrefix(m.field()+": ", ": ")+message)
		}
	}
	if name := holdsNUL(given); name != "" {
		found = append(found, name+": holds a NUL character, which no environment can carry")
	}
	if len(found) > 0 {
		sort.Strings(found)
		return nil, invalid("%s", strings.Join(found[:min(len(found), 10)], "; "))
	}
	fillDefaults(given, r.parameters.doc, secret)
	return plain(given).(map[string]any), nil
}

// without is the mismatch's message, less the parameters that a Secret gives; false when nothing is left of it.
func (m mismatch) without(secret map[string]bool) (string, bool) {
	if m.missing == nil || len(m.path) > 0 {
		return m.message, true
	}
	var missing []string
	for _, name := range m.missing {
		if !secret[name] {
			missing = append(missing, name)
		}
	}
	return "missing " + strings.Join(missing, ", "), len(missing) > 0
}

// fillDefaults sets what the schema declares a default for and nobody gave, in nested objects too.
func fillDefaults(object map[string]any, schema any, except map[string]bool) {
	fields, _ := schema.(map[string]any)
	declared, _ := fields["properties"].(map[string]any)
	for name, property := range declared {
		p, _ := property.(map[string]any)
		if value, ok := p["default"]; ok && object[name] == nil && !except[name] {
			object[name] = clone(value)
		}
		if nested, ok := object[name].(map[string]any); ok {
			fillDefaults(nested, p, nil)
		}
	}
}

// plain turns json.Number into int64 or float64, which templates can count with.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil {
			if f == math.Trunc(f) && math.Abs(f) < 1<<53 { // 1e3 and 3.0 are integers to JSON Schema
				return int64(f)
			}
			return f
		}
		return v.String()
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return value
}

func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = clone(v[k])
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	}
	return value
}

// holdsNUL returns the first parameter with a NUL in it.
func holdsNUL(parameters map[string]any) string {
	names := make([]string, 0, len(parameters))
	for name := range parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if text, ok := parameters[name].(string); ok && strings.ContainsRune(text, 0) {
			return clip(name)
		}
	}
	return ""
}

var parameterName = regexp.MustCompile(`^[a-z][A-Za-z0-9]{0,39}$`)

// compileParameters wants a closed schema of documented, typed parameters whose names stay apart as environment variables.
func (l *loader) compileParameters(r *Recipe) {
	const at = "spec.parameters"
	if r.Parameters["type"] != "object" {
		l.fault(manifestFile, at+".type", "found %s, want object", show(r.Parameters["type"]))
		return
	}
	if closed, given := r.Parameters["additionalProperties"]; given && closed != false {
		l.fault(manifestFile, at+".additionalProperties", "parameters are closed; leave it out")
	}
	r.Parameters["additionalProperties"] = false
	text, err := json.Marshal(r.Parameters)
	if err != nil {
		l.fault(manifestFile, at, "%v", err)
		return
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		r.parameters, err = compileSchema(doc)
	}
	if err != nil {
		l.fault(manifestFile, at, "%v", err)
		return
	}
	variables := map[string]string{}
	for _, name := range r.parameters.properties(nil) {
		l.checkParameter(r, at+".properties."+name, name, variables)
	}
}

func (l *loader) checkParameter(r *Recipe, at, name string, variables map[string]string) {
	if !parameterName.MatchString(name) {
		l.fault(manifestFile, at, "a parameter's name matches %s", parameterName)
	}
	variable := upperSnake(name)
	if other, taken := variables[variable]; taken {
		l.fault(manifestFile, at, "the same environment variable as %s: KW_PARAM_%s", other, variable)
	}
	variables[variable] = name
	property, ok := r.parameters.at([]string{name}).(map[string]any)
	if !ok {
		l.fault(manifestFile, at, "want an object")
		return
	}
	for _, wanted := range []string{"type", "description"} {
		if _, ok := property[wanted].(string); !ok {
			l.fault(manifestFile, at+"."+wanted, "missing")
		}
	}
	value, ok := property["default"]
	if !ok {
		return
	}
	if alone, err := compileSchema(clone(property)); err != nil {
		l.fault(manifestFile, at, "%v", err)
	} else {
		for _, m := range alone.check(value) {
			l.fault(manifestFile, at+".default", "%s", m.message)
		}
	}
}

// upperSnake turns clientPort into CLIENT_PORT and peer-ca into PEER_CA.
func upperSnake(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for i, c := range runes {
		if c == '-' {
			c = '_'
		}
		if i > 0 && unicode.IsUpper(c) {
			before, after := runes[i-1], 'A'
			if i+1 < len(runes) {
				after = runes[i+1]
			}
			if unicode.IsLower(before) || unicode.IsDigit(before) || (unicode.IsUpper(before) && unicode.IsLower(after)) {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToUpper(c))
	}
	return out.String()
}
