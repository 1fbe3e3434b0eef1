package e2e

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/hack/lab"
)

// TestCloudsWithWrongInput gives the operator's program what people get wrong with clouds. Each fault is told where they look; what was
// mended goes on by itself; and no credential is seen anywhere.
func TestCloudsWithWrongInput(t *testing.T) {
	l := lab.Shared(t)
	i, ns := install(t, l), l.Namespace(t)
	aws, up := httptest.NewServer(ec2.New(ec2.Options{Speed: 50}).Handler()), httptest.NewServer(upcloud.New(upcloud.Options{Speed: 50}).Handler())
	t.Cleanup(aws.Close)
	t.Cleanup(up.Close)
	dir := t.TempDir()
	log := filepath.Join(dir, "operator.log")
	o := launch(t, i, dir, log, []string{"--watch-namespace=" + ns, "--endpoint-allow=127.0.0.0/8", "--simulate-machines"})
	t.Cleanup(func() {
		o.stop(t)
		inspectLog(t, log)
		text, _ := os.ReadFile(log)
		l.Scan(t, ns, "the operator's log", string(text))
	})
	apply := func(yaml string) {
		t.Helper()
		l.Kubectl(t, yaml, "apply", "--server-side", "--force-conflicts", "-n", ns, "-f", "-")
	}
	secret := func(name, values string) {
		apply("apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\nstringData: {" + values + "}\n")
	}
	says := func(object string, words ...string) {
		t.Helper()
		seen := ""
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			seen = l.Kubectl(t, "", "get", object, "-n", ns, "-o", `jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.reason}: {.message}{end}`)
			missing := false
			for _, word := range words {
				missing = missing || !strings.Contains(seen, word)
			}
			if !missing {
				return
			}
		}
		t.Fatalf("%s says %q, and not %q", object, seen, words)
	}
	canary := l.Canary(t, ns)
	secret("aws", "accessKeyID: AKIAWRONG, secretAccessKey: "+canary)
	secret("up", "token: ucat_"+canary)
	apply(fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: aws}
spec: {type: AWS, credentials: {secretRef: {name: aws}}, aws: {region: eu-west-1, endpoint: %q}}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: up}
spec: {type: UpCloud, credentials: {secretRef: {name: up}}, upCloud: {zone: fi-hel1, endpoint: %q}}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: metadata}
spec: {type: UpCloud, credentials: {secretRef: {name: up}}, upCloud: {endpoint: "http://169.254.169.254"}}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: nowhere}
spec: {type: UpCloud, credentials: {secretRef: {name: nobody}}}
---
apiVersion: keelway.dev/v1alpha1
kind: Server
metadata: {name: a}
spec: {providerRef: {name: aws}, size: t3.micro, image: debian-12}
---
apiVersion: keelway.dev/v1alpha1
kind: Server
metadata: {name: u}
spec: {providerRef: {name: up}, size: 1xCPU-1GBB, image: debian-12}
`, aws.URL, up.URL))
	says("kprov/aws", "False Unauthenticated")
	says("kprov/up", "False Unauthenticated")
	says("kprov/metadata", "False NotAllowed", "--endpoint-allow")
	says("kprov/nowhere", "False SecretNotFound", "nobody")
	says("ksrv/a", "False DependencyNotReady", "Provider aws is not ready")
	says("ksrv/u", "False DependencyNotReady", "Provider up is not ready")

	secret("aws", "accessKeyID: "+ec2.AccessKeyID+", secretAccessKey: "+ec2.SecretAccessKey)
	secret("up", "token: ucat_FAKE")
	says("kprov/aws", "True Ready")
	says("kprov/up", "True Ready")
	says("ksrv/a", "True Ready")
	says("ksrv/u", "False Invalid", "1xCPU-1GBB", "1xCPU-1GB")
	l.Kubectl(t, "", "patch", "ksrv", "u", "-n", ns, "--type=merge", "-p", `{"spec":{"size":"1xCPU-1GB"}}`)
	says("ksrv/u", "True Ready")
	if cost := l.Kubectl(t, "", "get", "ksrv", "u", "-n", ns, "-o", "jsonpath={.status.cost.monthly} {.status.cost.currency}"); !strings.HasSuffix(cost, " EUR") || strings.HasPrefix(cost, "0") {
		t.Errorf("the cost is %q", cost)
	}
	l.Kubectl(t, "", "delete", "ksrv", "--all", "-n", ns, "--timeout=120s")
}
