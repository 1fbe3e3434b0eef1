package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestLabelRules(t *testing.T) {
	narrow := LabelRules{KeyLeast: 2, KeyMost: 32, ValueMost: 10, AnyCase: true}
	for name, tc := range map[string]struct {
		reason  string
		labels  map[string]string
		carried string // keys
		omitted string
	}{
		"none":       {"nothing to carry is no labels at all, as before there were any", nil, "", ""},
		"plain":      {"values may be empty", map[string]string{"role": "web", "app.kubernetes.io/name": ""}, "app.kubernetes.io/name role", ""},
		"ours":       {"whose a machine is nobody else says", map[string]string{"keelway.dev/uid": "x", "Keelway.dev/workflow": "w", "role": "web"}, "role", ""},
		"not ours":   {"another's prefix is not reserved", map[string]string{"my.keelway.dev/a": "x"}, "my.keelway.dev/a", ""},
		"only ours":  {"nothing is left", map[string]string{"keelway.dev/workflow": "w"}, "", ""},
		"short key":  {"below what the cloud admits", map[string]string{"a": "x"}, "", "a"},
		"long key":   {"one that another tool writes", map[string]string{"kustomize.toolkit.fluxcd.io/namespace": "x", "ab": ""}, "ab", "kustomize.toolkit.fluxcd.io/namespace"},
		"long value": {"omitted whole, and never cut", map[string]string{"ab": "12345678901", "ac": "1234567890"}, "ac", "ab"},
		"same key":   {"the first in order stays", map[string]string{"Env": "a", "env": "b"}, "Env", "env"},
	} {
		t.Run(name, func(t *testing.T) {
			carried, omitted := narrow.Choose(tc.labels)
			if got := strings.Join(slices.Sorted(maps.Keys(carried)), " "); got != tc.carried || strings.Join(omitted, " ") != tc.omitted {
				t.Errorf("%s: carries %q and omits %q", tc.reason, got, omitted)
			}
			if tc.carried == "" && carried != nil {
				t.Errorf("%s: a shape with no labels differs from one without", tc.reason)
			}
			for key, value := range carried {
				if value != tc.labels[key] {
					t.Errorf("%s: %s is %q", tc.reason, key, value)
				}
			}
		})
	}
	many := map[string]string{}
	for i := range 40 {
		many[fmt.Sprintf("label-%02d", i)] = "x"
	}
	if carried, omitted := narrow.Choose(many); len(carried) != labelsMost || len(omitted) != 8 || omitted[0] != "label-32" {
		t.Errorf("of 40 it carries %d and omits %q", len(carried), omitted)
	}
}
