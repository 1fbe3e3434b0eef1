package catalog

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

func etcdInput(t testing.TB, peers int) (*Recipe, Input) {
	t.Helper()
	recipe, in := inputOf(t, "etcd", peers)
	var err error
	in.Parameters, err = recipe.Validate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return recipe, in
}

// inputOf is a service of a built-in recipe on up to three servers, without parameters.
func inputOf(t testing.TB, name string, peers int) (*Recipe, Input) {
	t.Helper()
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := c.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Service: "store", Version: recipe.Versions.Default, Mirrors: []Mirror{{"https://github.com/", "http://127.0.0.1:8080/github/"}}}
	for i, address := range []string{"10.0.0.3", "10.0.0.1", "fd00::2"}[:peers] {
		in.Peers = append(in.Peers, Node{Name: []string{"db-3", "db-1", "db-2"}[i], Address: address, Facts: Facts{Arch: "amd64", MemoryMiB: 1024}})
	}
	in.Self = in.Peers[peers-1]
	return recipe, in
}

// golden compares what is rendered, apart from bodies, with a file that people review.
func golden(t *testing.T, name string, r Rendered) {
	t.Helper()
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(r.Apply.Env)) {
		text.WriteString("env " + key + "=" + r.Apply.Env[key] + "\n")
	}
	for _, key := range slices.Sorted(maps.Keys(r.Outputs)) {
		text.WriteString("output " + key + "=" + r.Outputs[key] + "\n")
	}
	for _, key := range slices.Sorted(maps.Keys(r.Apply.Files)) {
		text.WriteString("--- " + key + "\n" + string(r.Apply.Files[key]))
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("%s (go test -update writes it anew; -want +got):\n%s", path, diff)
	}
}

func TestRenderGolden(t *testing.T) {
	for name, tt := range map[string]struct {
		recipe     string
		peers      int
		parameters map[string]any
		secrets    map[string]string
	}{
		"etcd-three.golden": {recipe: "etcd", peers: 3},
		"etcd-one.golden":   {recipe: "etcd", peers: 1, parameters: map[string]any{"clientPort": 12379, "peerPort": 12380, "clusterToken": "blue", "dataDir": "/srv/etcd/data", "logLevel": "warn"}},
		"redis-replica.golden": {recipe: "redis", peers: 3, parameters: map[string]any{"topology": "Replicated", "persistence": "AppendOnly", "maxMemoryMiB": 64},
			secrets: map[string]string{"password": "correct-horse"}},
		"redis.golden":        {recipe: "redis", peers: 1},
		"haproxy.golden":      {recipe: "haproxy", peers: 2, parameters: map[string]any{"backends": "http://10.0.1.1:80,tcp://[fd00::9]:8080/,10.0.1.2:81", "mode": "HTTP", "healthPath": "/healthz"}},
		"nginx.golden":        {recipe: "nginx", peers: 2, parameters: map[string]any{"serverNames": []any{"a.example.org", "*.example.org"}, "workerProcesses": 2, "gzip": false}},
		"nginx-before.golden": {recipe: "nginx", peers: 1, parameters: map[string]any{"backends": "http://10.0.1.1:80", "accessLog": false}},
		"chrony.golden":       {recipe: "chrony", peers: 1},
		"chrony-island.golden": {recipe: "chrony", peers: 1, parameters: map[string]any{"servers": []any{"10.0.0.9", "fd00::1"}, "pools": []any{}, "allow": []any{"10.0.0.0/8"}, "localStratum": 8,
			"adjustClock": false, "stepSeconds": 0}},
		"containerd.golden": {recipe: "containerd", peers: 1, parameters: map[string]any{"sandboxImage": "registry.example.org:5000/pause:3.10", "restrictOOMScoreAdj": true, "cgroupDriver": "cgroupfs"}},
	} {
		t.Run(name, func(t *testing.T) {
			recipe, in := inputOf(t, tt.recipe, tt.peers)
			var err error
			if in.Parameters, err = recipe.Validate(tt.parameters, slices.Collect(maps.Keys(tt.secrets))...); err != nil {
				t.Fatal(err)
			}
			in.Secrets = tt.secrets
			out, err := recipe.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, out)
		})
	}
}

func TestRenderIsDeterministic(t *testing.T) {
	recipe, in := etcdInput(t, 3)
	first, err := recipe.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Peers = []Node{in.Peers[2], in.Peers[0], in.Peers[1]}
	second, err := recipe.Render(in)
	if diff := cmp.Diff(first, second); err != nil || diff != "" {
		t.Errorf("%v: the order of peers matters:\n%s", err, diff)
	}
	for name, change := range map[string]func(*Input){
		"version": func(in *Input) { in.Version = "3.6.16" },
		"parameter": func(in *Input) {
			in.Parameters = map[string]any{"clientPort": int64(1), "peerPort": int64(2), "dataDir": "/a/b", "logLevel": "info"}
		},
		"peer":    func(in *Input) { in.Peers = in.Peers[:2]; in.Self = in.Peers[0] },
		"self":    func(in *Input) { in.Self = in.Peers[1] },
		"service": func(in *Input) { in.Service = "other" },
		"mirror":  func(in *Input) { in.Mirrors = nil },
	} {
		changed := in
		change(&changed)
		if out, err := recipe.Render(changed); err != nil || out.Digest == first.Digest {
			t.Errorf("%s: %v: the digest does not follow", name, err)
		}
	}
}

// Whatever people write, the text that a shell interprets is the same: it stays data. And it arrives unchanged.
func TestHostileParametersStayData(t *testing.T) {
	recipe := loadDemo(t, demo())
	node := Node{Name: "a", Address: "10.0.0.1"}
	plain, err := recipe.Render(Input{Service: "s", Version: "1.2.3", Self: node, Peers: []Node{node}, Parameters: map[string]any{"text": "x", "count": int64(3)}})
	if err != nil {
		t.Fatal(err)
	}
	hostile := rapid.OneOf(rapid.String(), rapid.StringMatching("['\"`$\\\\;|&<>()!#~*?{}\\[\\]\n\t -]{0,20}"),
		rapid.SampledFrom([]string{"$(touch /tmp/x)", "`id`", "'; rm -rf / #", "--flag", "-", "\nEOF\n", "a\nExecStart=/bin/sh", "{{ .Secrets }}", "@KEELWAY_ROOT@", "${IFS}", "\r\n", "\\"}))
	rapid.Check(t, func(t *rapid.T) {
		text, secret := hostile.Draw(t, "text"), hostile.Draw(t, "secret")
		parameters, err := recipe.Validate(map[string]any{"text": text}, "ca")
		if err != nil {
			if strings.ContainsRune(text, 0) {
				return
			}
			t.Fatal(err)
		}
		out, err := recipe.Render(Input{Service: "s", Version: "1.2.3", Self: node, Peers: []Node{node}, Parameters: parameters, Secrets: map[string]string{"ca": secret}})
		if err != nil {
			t.Fatal(err)
		}
		for what, pair := range map[string][2]Script{"check": {plain.Check, out.Check}, "apply": {plain.Apply, out.Apply}, "health": {plain.Health, out.Health}, "remove": {plain.Remove, out.Remove}} {
			if pair[0].Body != pair[1].Body {
				t.Fatalf("%s: the body depends on a parameter", what)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(pair[0].Env)), slices.Sorted(maps.Keys(pair[1].Env))); diff != "" {
				t.Fatalf("%s: the names of variables depend on a parameter:\n%s", what, diff)
			}
		}
		if got := out.Apply.Env["KW_PARAM_TEXT"]; strings.ToValidUTF8(text, "\uFFFD") != got && text != got {
			t.Fatalf("%q arrived as %q", text, got)
		}
		if got := string(out.Apply.Files["secret-ca"]); got != secret {
			t.Fatalf("secret %q arrived as %q", secret, got)
		}
		for name, value := range out.Apply.Env {
			if len(secret) > 12 && strings.Contains(value, secret) && !strings.Contains(text, secret) {
				t.Fatalf("the secret is in the environment, as %s", name)
			}
		}
	})
}

func TestUnitsAreGuarded(t *testing.T) {
	tests := map[string]struct {
		reason string
		unit   string
		ok     bool
	}{
		"plain":         {reason: "words", unit: "[Service]\nExecStart={{ .Root }}/usr/bin/x --n={{ .Parameters.count }}\n", ok: true},
		"blank":         {reason: "a blank in a value would be another argument: words only, and this one is two", unit: "ExecStart=/usr/bin/x --text={{ .Parameters.text }}\n"},
		"second":        {reason: "a line break makes a second command", unit: "Description={{ .Parameters.lines }}\nExecStart=/usr/bin/x\n"},
		"none":          {reason: "nothing to run", unit: "[Service]\n"},
		"environment":   {reason: "a plain daemon would not get it", unit: "Environment=A=b\nExecStart=/usr/bin/x\n"},
		"continued":     {reason: "systemd joins lines, we do not", unit: "Description=x \\\nExecStart=/usr/bin/x\n"},
		"blanks before": {reason: "systemd accepts them, our reader would miss the line", unit: " ExecStart = /usr/bin/x\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			files := demo()
			files["demo/demo.service.tmpl"].Data = []byte(tt.unit)
			recipe := loadDemo(t, files)
			node := Node{Name: "a", Address: "10.0.0.1"}
			_, err := recipe.Render(Input{Service: "s", Version: "1.2.3", Self: node, Peers: []Node{node},
				Parameters: map[string]any{"text": "a 'b'", "count": int64(3), "lines": "x\nExecStart=/bin/sh"}})
			if (err == nil) != tt.ok || err != nil && (!fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*Input)
		want   string
	}{
		"service":      {reason: "it is a directory's name on the machine", change: func(in *Input) { in.Service = "../x" }, want: `service "../x"`},
		"self":         {reason: "a member has to be in its own cluster", change: func(in *Input) { in.Self.Address = "10.9.9.9" }, want: "not among its own peers"},
		"twice":        {reason: "two members of one name", change: func(in *Input) { in.Peers[1].Name = in.Peers[0].Name }, want: "there twice"},
		"peer address": {reason: "addresses reach configuration", change: func(in *Input) { in.Peers[0].Address = "a\"b" }, want: "is no address"},
		"peer name":    {reason: "names reach configuration", change: func(in *Input) { in.Peers[0].Name = "a,b=c" }, want: "is not a DNS name"},
		"secret value": {reason: "it is held to the schema and never shown", change: func(in *Input) { in.Secrets = map[string]string{"clusterToken": "canary\n"} }, want: `parameter clusterToken from its Secret does not fit its schema`},
		"secret":       {reason: "only declared ones", change: func(in *Input) { in.Secrets = map[string]string{"x": "y"} }, want: `secret "x"`},
		"parameter":    {reason: "a template asks for what is not there", change: func(in *Input) { in.Parameters = nil }, want: "clientPort"},
		"name":         {reason: "it becomes a variable's name", change: func(in *Input) { in.Parameters["A=B"] = "c" }, want: "no parameter's name"},
		"mirror":       {reason: "named", change: func(in *Input) { in.Mirrors = []Mirror{{"https://github.com/", "ftp://x/"}} }, want: "mirrors[0].url"},
		"version":      {reason: "it reaches a URL", change: func(in *Input) { in.Version = "1 2" }, want: "spec.artifacts[0].url"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			recipe, in := etcdInput(t, 3)
			tt.change(&in)
			_, err := recipe.Render(in)
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "etcd") && tt.want != "mirrors[0].url" {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the message shows a secret: %v", err)
			}
		})
	}
}

// Remove works from the machine's record: it needs a name, and nothing that may be gone by then.
func TestRemovalNeedsNothing(t *testing.T) {
	recipe, in := etcdInput(t, 3)
	out, err := recipe.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recipe.Removal("store"), out.Remove); diff != "" {
		t.Errorf("rendered and bare removal differ:\n%s", diff)
	}
	names := slices.Collect(maps.Keys(out.Remove.Env))
	sort.Strings(names)
	if diff := cmp.Diff([]string{"KW_RECIPE", "KW_SERVICE"}, names); diff != "" || len(out.Remove.Files) > 0 {
		t.Errorf("files %v, environment:\n%s", out.Remove.Files, diff)
	}
}
