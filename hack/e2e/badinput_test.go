package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// workflow writes a BatchWorkflow whose operations are given, one a line.
func workflow(name string, operations ...string) string {
	return fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: BatchWorkflow\nmetadata: {name: %s}\nspec:\n  operations:\n  - %s\n", name, strings.Join(operations, "\n  - "))
}

func object(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", kind, name, spec)
}

const servers = "{name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: cloud}}}}}"

// etcd writes an operation that installs etcd on the servers of base with more fields of the recipe's choice.
func etcd(more string) string {
	return "{name: etcd, type: TaskServiceBatch, dependsOn: [{operation: base}], taskServiceBatch: {targets: {operation: base}, recipes: [{name: etcd" + more + "}]}}"
}

// What the schema can see never becomes an object. The words are those that kubectl shows.
func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, brisk)
	long := strings.Repeat("a", 41)
	for name, tc := range map[string]struct {
		yaml string
		says []string
	}{
		"unknown dependency": {
			yaml: workflow("w", servers, "{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: bsae}]}"),
			says: []string{"spec.operations", "dependsOn names other operations that exist"},
		},
		"duplicate name": {
			yaml: workflow("w", servers, servers),
			says: []string{"spec.operations", "every operation has a name of its own"},
		},
		"over-long name of an operation": {
			yaml: workflow("w", "{name: "+long+", type: Wait, wait: {duration: 1s}}"),
			says: []string{"spec.operations[0].name", "may not be more than 40"},
		},
		"over-long name of a workflow": {
			yaml: workflow(strings.Repeat("w", 64), servers),
			says: []string{"the name of a BatchWorkflow has at most 63 characters"},
		},
		"self-edge": {
			yaml: workflow("w", "{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: b}]}"),
			says: []string{"spec.operations", "dependsOn names other operations that exist"},
		},
		"section of another type": {
			yaml: workflow("w", "{name: b, type: Check, wait: {duration: 1s}}"),
			says: []string{"spec.operations[0]", "exactly the section of the type is needed"},
		},
		"a duration that is none": {
			yaml: workflow("w", "{name: b, type: Wait, wait: {duration: soon}}"),
			says: []string{"spec.operations[0].wait.duration"},
		},
		"a cloud that is not of this machine": {
			yaml: object("Provider", "p", `{type: Local, local: {driver: Memory, endpoint: "http://192.0.2.1:80"}}`),
			says: []string{"spec.local.endpoint"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.ControlPlane.Kubectl(t.Context(), strings.NewReader(tc.yaml), "-n", b.namespace, "apply", "--server-side", "-f", "-")
			if err == nil {
				t.Fatal("it was admitted")
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not said: %v", want, err)
				}
			}
		})
	}
	if left := b.left(); len(left) > 0 {
		t.Errorf("objects were made: %v", left)
	}
}

// bad is input that only the operator can see through: the object that tells, and how.
type bad struct {
	reason   string
	yaml     string
	at       string // kind/name of the object that tells
	why      string // reason of its condition Ready
	says     []string
	status   status.Status // Failed: nothing more happens by itself; InProgress: it is tried again
	children int           // that the workflow makes before
}

// told are the cases on the simulated cloud.
var told = map[string]bad{
	"cycle": {
		reason: "the cycle is printed", at: "BatchWorkflow/cycle", why: "DependencyCycle", status: status.FailedStatus,
		yaml: workflow("cycle", servers, "{name: a, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: base}, {operation: c}]}",
			"{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: a}]}", "{name: c, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: b}]}"),
		says: []string{"spec.operations", "a", "b", "c", "→"},
	},
	"unknown recipe": {
		reason: "what was found, and what there is", at: "BatchWorkflow/recipe", why: "RecipeNotFound", status: status.FailedStatus,
		yaml: workflow("recipe", servers, strings.ReplaceAll(etcd(""), "{name: etcd}", "{name: ectd}")),
		says: []string{`operation "etcd"`, `"ectd"`, "etcd"},
	},
	"unknown version": {
		reason: "what is supported", at: "BatchWorkflow/version", why: "RecipeNotFound", status: status.FailedStatus,
		yaml: workflow("version", servers, etcd(`, version: "2.1"`)),
		says: []string{`operation "etcd"`, "2.1", "3.5"},
	},
	"unknown parameter": {
		reason: "the parameter and its neighbours", at: "BatchWorkflow/parameter", why: "Invalid", status: status.FailedStatus,
		yaml: workflow("parameter", servers, etcd(`, parameters: {clientport: 2379}`)),
		says: []string{`operation "etcd"`, "clientport", "clientPort"},
	},
	"wrong type": {
		reason: "what is wanted", at: "BatchWorkflow/type", why: "Invalid", status: status.FailedStatus,
		yaml: workflow("type", servers, etcd(`, parameters: {clientPort: many}`)),
		says: []string{`operation "etcd"`, "clientPort", "integer"},
	},
	"a value that nobody gives": {
		reason: "references are checked before anything runs", at: "BatchWorkflow/value", why: "Invalid", status: status.FailedStatus,
		yaml: workflow("value", servers, etcd(`, parameters: {clusterToken: "${operations.base.outputs.token}"}`)),
		says: []string{`operation "etcd"`, "${operations.base.outputs.token}", "addresses"},
	},
	"a target without an edge": {
		reason: "what to add", at: "BatchWorkflow/edge", why: "Invalid", status: status.FailedStatus,
		yaml: workflow("edge", servers, strings.ReplaceAll(etcd(""), "dependsOn: [{operation: base}], ", "")),
		says: []string{`operation "etcd"`, `"base"`, "dependsOn", "Hard"},
	},
	"too many": {
		reason: "a bound that no single field knows", at: "BatchWorkflow/many", why: "Invalid", status: status.FailedStatus,
		yaml: workflow("many", "{name: a, type: Wait, wait: {duration: 1s, count: 100000}}", "{name: b, type: Wait, wait: {duration: 1s, count: 100000}}"),
		says: []string{"200000", "100000"},
	},
	"size that the cloud does not have": {
		reason: "the cloud's own words reach the workflow", at: "BatchWorkflow/size", why: "Failed", status: status.FailedStatus, children: 1,
		yaml: workflow("size", strings.ReplaceAll(servers, "{name: cloud}", "{name: cloud}, size: 2xCPU")),
		says: []string{`operation "base"`, "Invalid", "creating the machine", `there is no size "2xCPU"; there are: small, medium, large`},
	},
	"foreign object of a child's name": {
		reason: "it is named and left alone", at: "BatchWorkflow/taken", why: "Failed", status: status.FailedStatus,
		yaml: object("Server", v1alpha1.ChildName("taken", "base", "0"), "{providerRef: {name: nobody}}") + "---\n" + workflow("taken", servers),
		says: []string{"NameTaken", v1alpha1.ChildName("taken", "base", "0"), "delete it"},
	},
	"missing Provider": {
		reason: "it may come: tried again", at: "Server/lonely", why: "ProviderNotFound", status: status.InProgressStatus,
		yaml: object("Server", "lonely", "{providerRef: {name: nobody}}"),
		says: []string{"Provider nobody does not exist", "create it"},
	},
	"missing Secret": {
		reason: "it may come: tried again", at: "TaskService/secret", why: "SecretNotFound", status: status.InProgressStatus,
		yaml: object("TaskService", "secret", "{recipe: etcd, servers: {names: [lonely]}, parametersFrom: [{parameter: clusterToken, secretKeyRef: {name: tokens, key: etcd}}]}"),
		says: []string{"spec.parametersFrom[0]", "Secret tokens", "create it"},
	},
	"missing Server": {
		reason: "it may come: tried again", at: "TaskService/nowhere", why: "ServerNotFound", status: status.InProgressStatus,
		yaml: object("TaskService", "nowhere", "{recipe: etcd, servers: {names: [nosuch]}}"),
		says: []string{"Server nosuch", "create it", "spec.servers"},
	},
	"missing Server of a Run": {
		reason: "it may come: tried again", at: "Run/nowhere", why: "ServerNotFound", status: status.InProgressStatus,
		yaml: object("Run", "nowhere", "{action: Command, target: {serverRef: {name: nosuch}}, command: {script: 'true'}}"),
		says: []string{"Server nosuch", "create it", "target"},
	},
	"unknown recipe of a TaskService": {
		reason: "what there is", at: "TaskService/unknown", why: "RecipeNotFound", status: status.FailedStatus,
		yaml: object("TaskService", "unknown", "{recipe: mysql, servers: {names: [lonely]}}"),
		says: []string{"spec.recipe", "mysql"},
	},
	"probe of what the installation does not admit": {
		reason: "how to have it admitted", at: "Run/probe", why: "NotAllowed", status: status.FailedStatus,
		yaml: object("Run", "probe", `{action: HTTP, http: {url: "http://127.0.0.1:1/"}}`),
		says: []string{"127.0.0.1", "--check-allow"},
	},
	"probe of what is no address": {
		reason: "what is wanted", at: "Run/address", why: "Invalid", status: status.FailedStatus,
		yaml: object("Run", "address", `{action: HTTP, http: {url: "ftp://somewhere"}}`),
		says: []string{"spec.http.url", "ftp://somewhere", "http://"},
	},
}

// What the operator refuses it tells, on the object that is at fault, and nothing is half-made.
func TestBadInputIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, brisk)
	b.start()
	b.provider(maxInFlight)
	for _, tc := range told {
		b.apply(tc.yaml)
	}
	for name, tc := range told {
		t.Run(name, func(t *testing.T) { b.tells(t, tc) })
	}
	if r := b.cloud.Report(); r.Made > 0 {
		t.Errorf("the cloud made %d machines", r.Made)
	}
	// What may come in the end has come: nobody has to ask again.
	b.apply(strings.ReplaceAll(object("Provider", "nobody", `{type: Local, local: {driver: Memory, endpoint: ENDPOINT}}`), "ENDPOINT", fmt.Sprintf("%q", b.endpoint)))
	b.eventually("the Server that had no Provider", patience, func() error {
		if s := get(b, "lonely", &v1alpha1.Server{}); s.Status.Phase != v1alpha1.ServerReady {
			return fmt.Errorf("it is %s", s.Status.Phase)
		}
		return nil
	})
}

// tells waits until the object says what it must, and holds that nothing else was made of it.
func (b *bench) tells(t *testing.T, tc bad) {
	t.Helper()
	defer b.as(t)()
	kind, name, _ := strings.Cut(tc.at, "/")
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	b.eventually(tc.at+" tells", patience, func() error {
		if err := b.Client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: name}, u); err != nil {
			return err
		}
		ready := condition(u, v1alpha1.ReadyCondition)
		if ready == nil || ready["reason"] != tc.why {
			return fmt.Errorf("its condition Ready is %v", ready)
		}
		return nil
	})
	message := fmt.Sprint(condition(u, v1alpha1.ReadyCondition)["message"])
	t.Logf("%s: %s", tc.at, message)
	for _, want := range tc.says {
		if !strings.Contains(message, want) {
			t.Errorf("%s: %q is not said: %s", tc.reason, want, message)
		}
	}
	if read, err := status.Compute(u); err != nil || read.Status != tc.status {
		t.Errorf("%s: kstatus reads %v, %v, want %s", tc.reason, read, err, tc.status)
	}
	if kind == "BatchWorkflow" {
		if made := b.childrenOf(name); made != tc.children {
			t.Errorf("%s: the workflow made %d objects, want %d", tc.reason, made, tc.children)
		}
	}
}

// childrenOf counts the children that a workflow was seen to make.
func (b *bench) childrenOf(workflow string) (n int) {
	for _, s := range b.sightings() {
		if s.verb == "ADDED" && s.object.GetLabels()[v1alpha1.LabelWorkflow] == workflow && s.kind != "Checkpoint" {
			n++
		}
	}
	return n
}

// A download that is not what was promised, and one that does not come: on machines that are real as far as they go.
func TestBadDownloads(t *testing.T) {
	t.Parallel()
	b := newBench(t, brisk)
	b.start()
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "SHA256SUMS") {
			fmt.Fprintf(w, "%064d  %s\n", 0, "etcd-v3.7.3-linux-amd64.tar.gz")
			fmt.Fprintf(w, "%064d  %s\n", 0, "etcd-v3.7.3-linux-arm64.tar.gz")
			return
		}
		fmt.Fprintln(w, "not what was promised")
	}))
	t.Cleanup(mirror.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close() // nobody listens there any more
	for name, tc := range map[string]struct {
		bad
		mirror string
	}{
		"checksum": {
			mirror: mirror.URL,
			bad: bad{reason: "to repeat it would not help", at: "TaskService/" + v1alpha1.ChildName("checksum", "etcd", "etcd"), why: "ChecksumMismatch",
				status: status.FailedStatus, says: []string{"etcd-v3.7.3-linux", "sha256"}},
		},
		"mirror": {
			mirror: closed.URL,
			bad: bad{reason: "it is tried again", at: "TaskService/" + v1alpha1.ChildName("mirror", "etcd", "etcd"), why: "DownloadFailed",
				status: status.InProgressStatus, says: []string{closed.URL}},
		},
	} {
		b.apply(object("Provider", name, fmt.Sprintf(`{type: Local, local: {driver: Process}, mirrors: [{prefix: "https://github.com/", url: "%s/"}]}`, tc.mirror)))
		b.apply(workflow(name, strings.ReplaceAll(servers, "{name: cloud}", "{name: "+name+"}"), etcd("")))
		t.Run(name, func(t *testing.T) {
			b.tells(t, tc.bad)
			if left, _ := filepath.Glob(b.stateDir + "/servers/*/*/usr/local/bin/*"); len(left) > 0 {
				t.Errorf("something was installed: %v", left)
			}
			if left, _ := filepath.Glob(b.stateDir + "/servers/*/*/etc/etcd/*"); len(left) > 0 {
				t.Errorf("something was configured: %v", left)
			}
		})
	}
	b.kubectl("", "delete", "bwf,kprov", "--all", "--wait=false")
	b.vanishes()
	if left := b.directories(); len(left) > 0 {
		t.Errorf("directories of servers are left: %v", left)
	}
}

// A driver that the installation does not admit is refused with the words that would admit it.
func TestDriverThatIsNotAdmitted(t *testing.T) {
	t.Parallel()
	b := newBench(t, brisk)
	b.start("--local-drivers=Memory")
	b.apply(object("Provider", "here", "{type: Local, local: {driver: Process}}"))
	b.tells(t, bad{reason: "how to have it admitted", at: "Provider/here", why: "DriverNotAllowed", status: status.FailedStatus,
		says: []string{"Process", "--local-drivers=Process"}})
	if _, err := os.Stat(b.stateDir); err == nil {
		t.Error("a state directory was made")
	}
}
