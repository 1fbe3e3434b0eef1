package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("workers: 3\nlocal-drivers: [Process, Memory]\nlog-format: json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(t.TempDir(), "odd.yaml")
	if err := os.WriteFile(odd, []byte("wrokers: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		args   []string
		check  func(settings) bool
		fails  string
	}{
		"nothing":          {"an installation that says nothing admits no local driver and no check from the operator", nil, func(s settings) bool { return len(s.localDrivers)+len(s.checkAllow) == 0 && s.workers == 8 }, ""},
		"drivers":          {"a list is comma-separated", []string{"--local-drivers=Process,Memory"}, func(s settings) bool { return slices.Equal(s.localDrivers, []string{"Process", "Memory"}) }, ""},
		"unknown driver":   {"a typo must not admit nothing silently", []string{"--local-drivers=process"}, nil, `"process" is not a driver`},
		"networks":         {"host bits are cut off", []string{"--check-allow=10.1.2.3/8"}, func(s settings) bool { return s.checkAllow[0].String() == "10.0.0.0/8" }, ""},
		"no network":       {"an address is not a network", []string{"--check-allow=10.1.2.3"}, nil, "is not a network"},
		"file":             {"settings of a file count", []string{"--config=" + file}, func(s settings) bool { return s.workers == 3 && s.logFormat == "json" && len(s.localDrivers) == 2 }, ""},
		"flag before file": {"a flag that is given wins over the file", []string{"--config=" + file, "--workers=5"}, func(s settings) bool { return s.workers == 5 }, ""},
		"typo in file":     {"a name that is no setting is refused by name", []string{"--config=" + odd}, nil, `"wrokers" is not a setting`},
		"no such file":     {"a missing file is not an empty one", []string{"--config=/nowhere"}, nil, "reading settings"},
		"workers":          {"bounded", []string{"--workers=0"}, nil, "is not between 1 and 256"},
		"installation":     {"a cluster that was rebuilt finds its machines", []string{"--installation-id=prod-1"}, func(s settings) bool { return s.installation == "prod-1" }, ""},
		"bad installation": {"no cloud takes it for a label", []string{"--installation-id=Prod 1"}, nil, "--installation-id"},
		"endpoints":        {"hosts and networks", []string{"--endpoint-allow=cloud.internal:8443,127.0.0.0/8"}, func(s settings) bool { return len(s.endpointAllow) == 2 }, ""},
		"no URL":           {"an address is admitted, not a URL", []string{"--endpoint-allow=http://cloud"}, nil, "--endpoint-allow"},
		"ambient":          {"one namespace, or all", []string{"--aws-ambient-namespaces=platform,*"}, func(s settings) bool { return slices.Equal(s.ambientNamespaces, []string{"platform", "*"}) }, ""},
		"no namespace":     {"a typo must not admit nothing silently", []string{"--aws-ambient-namespaces=Platform"}, nil, "--aws-ambient-namespaces"},
		"log format":       {"one of two", []string{"--log-format=xml"}, nil, "neither text nor json"},
		"argument":         {"a forgotten dash is not ignored", []string{"leader-elect"}, nil, "unexpected argument"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := parseSettings(tc.args)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Fatalf("%s: want an error with %q, got %v", tc.reason, tc.fails, err)
				}
				return
			}
			if err != nil || !tc.check(s) {
				t.Errorf("%s: got %+v, %v", tc.reason, s, err)
			}
		})
	}
}
