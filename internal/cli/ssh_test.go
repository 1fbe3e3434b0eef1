package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/transport"
)

func TestSSHTrustsNobodyButThePinned(t *testing.T) {
	cases := map[string]struct {
		reason      string
		access      transport.Access
		key         string
		known, args []string
	}{
		"plain": {"the address, as root", transport.Access{Address: "10.0.0.4"}, "",
			[]string{"10.0.0.4 ssh-ed25519 A\n"}, []string{"-l", "root", "--", "10.0.0.4"}},
		"everything": {"its own host, port, user, key, and a host in between with its own keys",
			transport.Access{Address: "10.0.0.4", Host: "h", Port: 2222, User: "debian", Jump: &transport.Hop{Host: "j", Port: 23, User: "hop", HostKeys: []string{"ssh-rsa J"}}}, "/k",
			[]string{"[h]:2222 ssh-ed25519 A\n", "[j]:23 ssh-rsa J\n"},
			[]string{"-i", "/k", "-o", "IdentitiesOnly=yes", "-o",
				"ProxyCommand=ssh -o UserKnownHostsFile=/known -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes -i /k -o IdentitiesOnly=yes -W %h:%p -p 23 -l hop j",
				"-p", "2222", "-l", "debian", "--", "h"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := ""
			for _, line := range tc.known {
				want += line
			}
			if diff := cmp.Diff(want, knownHosts(tc.access, []string{"ssh-ed25519 A"})); diff != "" {
				t.Errorf("%s: known hosts (-want +got):\n%s", tc.reason, diff)
			}
			strict := []string{"-o", "UserKnownHostsFile=/known", "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"}
			if diff := cmp.Diff(append(strict, tc.args...), sshArgs(tc.access, "/known", tc.key)); diff != "" {
				t.Errorf("%s: arguments (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
