package catalog

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/fault"
)

func TestFits(t *testing.T) {
	process := Facts{OS: "debian", Arch: "amd64", MemoryMiB: 2048, InitSystem: "none"}
	real := Facts{OS: "rocky", Arch: "arm64", MemoryMiB: 2048, InitSystem: "systemd", Root: true}
	needs := func(text string) *Recipe { return loadDemo(t, demo("platforms:", "needs: "+text+"\n  platforms:")) }
	tests := map[string]struct {
		reason string
		recipe *Recipe
		facts  Facts
		err    []string
	}{
		"no needs":            {reason: "runs anywhere", recipe: loadDemo(t, demo()), facts: Facts{}},
		"all met":             {reason: "a real server", recipe: needs("{root: true, initSystem: systemd, memoryMiB: 2048}"), facts: real},
		"root on Process":     {reason: "a Process server is an ordinary user", recipe: needs("{root: true}"), facts: process, err: []string{"root (found an unprivileged user)"}},
		"systemd on Process":  {reason: "a Process server has no init system", recipe: needs("{initSystem: systemd}"), facts: process, err: []string{"init system systemd (found none)"}},
		"any init on Process": {reason: "plain daemons will do", recipe: needs("{initSystem: any}"), facts: process},
		"all needs listed": {reason: "one message, every need", recipe: needs("{root: true, initSystem: systemd, memoryMiB: 4096}"), facts: process,
			err: []string{"root", "systemd", "4096 MiB of memory (found 2048 MiB)"}},
		"memory unknown": {reason: "not held against it", recipe: needs("{memoryMiB: 4096}"), facts: Facts{}},
		"other family":   {reason: "paths and packages differ", recipe: loadDemo(t, demo("family: any", "family: debian")), facts: real, err: []string{"family debian (found rocky)"}},
		"same family":    {reason: "Rocky is of the family rhel", recipe: loadDemo(t, demo("family: any", "family: rhel")), facts: real},
		"family unknown": {reason: "cannot be judged: refused with what is known", recipe: loadDemo(t, demo("family: any", "family: rhel")), facts: Facts{}, err: []string{"found nothing known"}},
		"architecture": {reason: "the digest exists for amd64 only",
			recipe: loadDemo(t, demo("  files:", "  artifacts: [{name: x, url: \"https://e.org/x\", sha256: {amd64: "+strings.Repeat("a", 64)+", source: https://e.org}}]\n  files:")),
			facts:  real, err: []string{"artifact x exists for (found arm64)"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			err := tt.recipe.Fits(Node{Name: "web-1", Address: "10.0.0.1", Facts: tt.facts})
			if tt.err == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonPlatform {
				t.Fatalf("got %v", err)
			}
			for _, want := range append(tt.err, "server web-1", "recipe demo") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q: %v", want, err)
				}
			}
		})
	}
}
