package debian_test

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/hack/debian"
)

// TestRealServer: what every other suite takes for granted.
func TestRealServer(t *testing.T) {
	first, second := debian.Start(t), debian.Start(t)
	for _, m := range []*debian.Machine{first, second} {
		if said := m.Shell(t, "cat /proc/1/comm; id -un; sudo -u admin sudo -n id -un"); said != "systemd\nroot\nroot" {
			t.Errorf("it says %q", said)
		}
	}
	keys := func(m *debian.Machine) string { return m.Shell(t, "cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2") }
	if a, b := keys(first), keys(second); a == b || strings.Count(a, "\n") != 2 {
		t.Errorf("two servers have the host keys %q and %q", a, b)
	}
}
