package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// api is a server that knows some groups and nothing else.
func api(t *testing.T, groups string) (kubeconfig string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/apis":
			fmt.Fprintf(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[%s]}`, groups)
		case "/api":
			fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/version":
			fmt.Fprint(w, `{"gitVersion":"v1.37.2"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"the server could not find the requested resource","code":404}`)
		}
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "config")
	text := `{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: "` + server.URL + `"}}], contexts: [{name: x, context: {cluster: c}}], current-context: x}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run is one call of the program within the test.
func run(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = Main(append([]string{"keelway"}, args...), Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: func(string) string { return "" }})
	return code, stdout.String(), stderr.String()
}

// TestNoCRDsAndOtherVersions: every verb that asks the cluster says what is missing and what to do.
func TestNoCRDsAndOtherVersions(t *testing.T) {
	cases := map[string]struct{ reason, groups, says, next string }{
		"no CRDs": {"nobody installed them", "", "the cluster does not serve keelway.dev/v1alpha1", "install or upgrade the CRDs"},
		"another version": {"a later release", `{"name":"keelway.dev","versions":[{"groupVersion":"keelway.dev/v1","version":"v1"}],"preferredVersion":{"groupVersion":"keelway.dev/v1","version":"v1"}}`,
			"the cluster serves keelway.dev/v1, and this keelway speaks keelway.dev/v1alpha1", "use a keelway of that version"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			kubeconfig := api(t, tc.groups)
			for _, verb := range [][]string{{"get"}, {"get", "bwf", "w"}, {"describe", "w"}, {"watch", "w"}, {"ops", "w"}, {"retry", "w"}, {"exec", "s", "--", "true"}, {"logs", "run/x"}} {
				code, _, errs := run(append([]string{"--kubeconfig", kubeconfig}, verb...)...)
				if code != codeUnreachable || !strings.Contains(errs, tc.says) || !strings.Contains(errs, "next: "+tc.next) {
					t.Errorf("%s: %v ended with %d and said %q", tc.reason, verb, code, errs)
				}
			}
			code, out, _ := run("--kubeconfig", kubeconfig, "doctor")
			if code != codeFailed || !strings.Contains(out, "✘ CRDs") {
				t.Errorf("%s: the doctor ended with %d and said %q", tc.reason, code, out)
			}
		})
	}
}
