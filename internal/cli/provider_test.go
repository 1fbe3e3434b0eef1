package cli_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/upcloud"
)

// TestProviderAsksTheClouds reads what simulated clouds offer, with the credentials of a Secret, which show nowhere.
func TestProviderAsksTheClouds(t *testing.T) {
	b := online(t)
	up, amazon := httptest.NewServer(upcloud.New(upcloud.Options{}).Handler()), httptest.NewServer(ec2.New(ec2.Options{}).Handler())
	defer up.Close()
	defer amazon.Close()
	kubeconfig := b.home(t, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: ucat_FAKE, accessKeyID: %s, secretAccessKey: %s}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: up}
spec: {type: UpCloud, credentials: {secretRef: {name: keys}}, upCloud: {zone: fi-hel1, endpoint: "%s"}}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: amazon}
spec: {type: AWS, credentials: {secretRef: {name: keys}}, aws: {region: eu-west-1, endpoint: "%s"}}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: here}
spec: {type: Local, local: {driver: Process}}
`, ec2.AccessKeyID, ec2.SecretAccessKey, up.URL, amazon.URL))
	cases := map[string]struct {
		reason string
		args   []string
		code   int
		says   []string
	}{
		"zones":           {"of UpCloud", []string{"zones", "up"}, 0, []string{"NAME", "fi-hel1"}},
		"sizes":           {"with cpus, memory and price", []string{"sizes", "up"}, 0, []string{"PER HOUR", "1xCPU-1GB", "1024 MiB"}},
		"images":          {"by their aliases", []string{"images", "up"}, 0, []string{"debian-12"}},
		"prices":          {"part by part", []string{"prices", "up", "1xCPU-1GB"}, 0, []string{"1xCPU-1GB", "EUR"}},
		"zones of AWS":    {"the other cloud", []string{"zones", "amazon", "-o", "name"}, 0, []string{"eu-west-1a"}},
		"sizes of AWS":    {"as data", []string{"sizes", "amazon", "-o", "json"}, 0, []string{`"t3.micro"`}},
		"a size mistyped": {"the nearest are named", []string{"prices", "up", "1xCPU-1G"}, 1, []string{"1xCPU-1GB"}},
		"a name mistyped": {"likewise", []string{"zones", "upp"}, 1, []string{"did you mean up?"}},
		"local":           {"it has nothing to choose from", []string{"zones", "here"}, 1, []string{"Provider here is local (driver Process)"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cmd, out, errs, wait := b.keelway(t, kubeconfig, append(append([]string{"provider"}, tc.args...), "--endpoint-allow", "127.0.0.0/8")...)
			_ = wait()
			said := out.String() + errs.String()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("%s: it ended with %d and said %s", tc.reason, code, said)
			}
			for _, want := range tc.says {
				if !strings.Contains(said, want) {
					t.Errorf("%s: got\n%s\nwant %q", tc.reason, said, want)
				}
			}
			for _, secret := range []string{"ucat_FAKE", ec2.SecretAccessKey} {
				if strings.Contains(said, secret) {
					t.Errorf("it shows a secret: %s", said)
				}
			}
		})
	}
	t.Run("an endpoint that nobody allowed", func(t *testing.T) {
		cmd, out, errs, wait := b.keelway(t, kubeconfig, "provider", "zones", "up")
		_ = wait()
		if cmd.ProcessState.ExitCode() == 0 || !strings.Contains(errs.String(), "127.0.0.1") {
			t.Errorf("credentials went there: %s%s", out, errs)
		}
	})
}
