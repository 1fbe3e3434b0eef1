package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params are the parameters of a Query request. What nobody has read is refused before anything is done, as AWS does: a parameter
// that this cloud does not know must not pass for one that had an effect.
type params struct {
	form url.Values
	read map[string]bool
}

func (p *params) get(name string) string {
	p.read[name] = true
	return p.form.Get(name)
}

func (p *params) has(name string) bool { return p.form.Has(name) }

func (p *params) bool(name string) bool { return p.get(name) == "true" }

func (p *params) count(name string) int {
	n, _ := strconv.Atoi(p.form.Get(name))
	return n
}

// length is how many of name.1, name.2, … there are.
func (p *params) length(name string) int {
	n := 0
	for p.form.Has(fmt.Sprintf("%s.%d", name, n+1)) {
		n++
	}
	return n
}

func (p *params) list(name string) (values []string) {
	for n := range p.length(name) {
		values = append(values, p.get(fmt.Sprintf("%s.%d", name, n+1)))
	}
	return values
}

// elements are the prefixes of a list of structures: "Filter.1.", "Filter.2.", as long as one of them holds anything.
func (p *params) elements(name string) (prefixes []string) {
	for n := 1; ; n++ {
		prefix := fmt.Sprintf("%s.%d.", name, n)
		if !slices.ContainsFunc(p.names(), func(key string) bool { return strings.HasPrefix(key, prefix) }) {
			return prefixes
		}
		prefixes = append(prefixes, prefix)
	}
}

func (p *params) names() (names []string) {
	for name := range p.form {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (p *params) unread() error {
	for _, name := range p.names() {
		if !p.read[name] && name != "Action" && name != "Version" && name != "DryRun" {
			return refuse("UnknownParameter", "The parameter "+name+" is not recognized")
		}
	}
	return nil
}

// hash stands for everything that was asked for, but the token.
func (p *params) hash() string {
	sum := sha256.New()
	for _, name := range p.names() {
		if name != "ClientToken" {
			fmt.Fprintf(sum, "%q=%q\n", name, p.form[name])
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

type filter struct {
	name   string
	values []string
}

const filterValues = 200

func (p *params) filters(known ...string) ([]filter, error) {
	var all []filter
	values := 0
	for _, prefix := range p.elements("Filter") {
		f := filter{p.get(prefix + "Name"), p.list(prefix + "Value")}
		if values += len(f.values); values > filterValues {
			return nil, refuse("FilterLimitExceeded", fmt.Sprintf("The maximum number of filter values specified on a single call is %d", filterValues))
		}
		if !slices.ContainsFunc(known, func(k string) bool {
			return f.name == k || strings.HasSuffix(k, ":") && strings.HasPrefix(f.name, k)
		}) {
			return nil, refuse("InvalidParameterValue", "The filter '"+f.name+"' is invalid")
		}
		if len(f.values) == 0 {
			return nil, refuse("InvalidParameterValue", "The filter '"+f.name+"' has no values")
		}
		all = append(all, f)
	}
	return all, nil
}

// matches reports whether one of the values fits: * is any text, ? any character, and a backslash takes their meaning away.
func (f filter) matches(text string) bool {
	return slices.ContainsFunc(f.values, func(pattern string) bool { return wild([]rune(pattern), []rune(text)) })
}

func wild(pattern, text []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	switch c := pattern[0]; {
	case c == '*':
		return wild(pattern[1:], text) || len(text) > 0 && wild(pattern, text[1:])
	case c == '?':
		return len(text) > 0 && wild(pattern[1:], text[1:])
	case c == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	return len(text) > 0 && pattern[0] == text[0] && wild(pattern[1:], text[1:])
}

// tagSpecifications reads the tags for each type of resource.
func (p *params) tagSpecifications(kinds ...string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for _, prefix := range p.elements("TagSpecification") {
		kind := p.get(prefix + "ResourceType")
		if !slices.Contains(kinds, kind) {
			return nil, refuse("InvalidParameterValue", "'"+kind+"' is not a valid taggable resource type for this operation.")
		}
		tags, err := p.tags(prefix + "Tag")
		if err != nil {
			return nil, err
		}
		all[kind] = tags
	}
	return all, nil
}

func (p *params) tags(name string) (map[string]string, error) {
	tags := map[string]string{}
	for _, prefix := range p.elements(name) {
		key, value := p.get(prefix+"Key"), p.get(prefix+"Value")
		switch _, twice := tags[key]; {
		case key == "" || len([]rune(key)) > 128 || len([]rune(value)) > 256:
			return nil, refuse("InvalidParameterValue", fmt.Sprintf("Tag key must be between 1 and 128 characters long and its value at most 256: %.40q", key))
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case twice:
			return nil, refuse("InvalidParameterValue", fmt.Sprintf("Duplicate tag key '%s' specified.", key))
		}
		tags[key] = value
	}
	if len(tags) > 50 {
		return nil, refuse("TagLimitExceeded", "You have reached the maximum number of tags: 50")
	}
	return tags, nil
}
