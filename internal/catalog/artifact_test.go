package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
)

func TestMirrored(t *testing.T) {
	const address = "https://github.com/etcd-io/etcd/x.tar.gz"
	tests := map[string]struct {
		reason  string
		mirrors []Mirror
		want    string
	}{
		"none":            {reason: "upstream", want: address},
		"one":             {reason: "the rest of the path is kept", mirrors: []Mirror{{"https://github.com/", "http://m/gh/"}}, want: "http://m/gh/etcd-io/etcd/x.tar.gz"},
		"no slashes":      {reason: "people write either", mirrors: []Mirror{{"https://github.com", "http://m/gh"}}, want: "http://m/gh/etcd-io/etcd/x.tar.gz"},
		"mixed slashes":   {reason: "never a doubled slash", mirrors: []Mirror{{"https://github.com", "http://m/gh/"}}, want: "http://m/gh/etcd-io/etcd/x.tar.gz"},
		"longest wins":    {reason: "the more special one", mirrors: []Mirror{{"https://github.com/", "http://a/"}, {"https://github.com/etcd-io/", "http://b/"}, {"https://", "http://c/"}}, want: "http://b/etcd/x.tar.gz"},
		"other host":      {reason: "not covered", mirrors: []Mirror{{"https://dl.k8s.io/", "http://a/"}}, want: address},
		"half a host":     {reason: "a prefix covers whole segments", mirrors: []Mirror{{"https://git", "http://a/"}, {"https://github.com/etcd", "http://b/"}}, want: address},
		"whole address":   {reason: "a mirror of one file", mirrors: []Mirror{{address, "file:///srv/x.tar.gz"}}, want: "file:///srv/x.tar.gz"},
		"first of equals": {reason: "deterministic", mirrors: []Mirror{{"https://github.com/", "http://a/"}, {"https://github.com", "http://b/"}}, want: "http://a/etcd-io/etcd/x.tar.gz"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			if got := mirrored(address, tt.mirrors); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestArtifactVariables(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	recipe, _ := c.Get("etcd")
	in := Input{Service: "store", Version: "3.7.3", Self: Node{Name: "a", Address: "10.0.0.1", Facts: Facts{Arch: "arm64"}},
		Mirrors: []Mirror{{"https://github.com/", "http://127.0.0.1:8080/gh/"}}}
	got, err := recipe.artifactVariables(in, values{Version: in.Version, Arch: "arm64"})
	want := map[string]string{
		"KW_ARTIFACT_ETCD_ORIGIN":    "https://github.com/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-arm64.tar.gz",
		"KW_ARTIFACT_ETCD_URL":       "http://127.0.0.1:8080/gh/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-arm64.tar.gz",
		"KW_ARTIFACT_ETCD_FILE":      "etcd-v3.7.3-linux-arm64.tar.gz",
		"KW_ARTIFACT_ETCD_CHECKSUMS": "http://127.0.0.1:8080/gh/etcd-io/etcd/releases/download/v3.7.3/SHA256SUMS",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestBadMirrorsAreNamed(t *testing.T) {
	for _, url := range []string{"", "ftp://m/", "m/", "http://", "http://m/ x", "http://m/\n", "http://m/'", "--help", "http://m/\\", "javascript:x"} {
		err := checkMirrors([]Mirror{{"https://github.com/", "http://m/"}, {"https://github.com/", url}})
		if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
