package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begin starts a real control plane. Where the cache is empty it builds first, with progress on standard error (go test -v
// shows it at once); when the time of go test does not suffice for that, what was built is kept for the next run.
func begin(t *testing.T, options Options) *ControlPlane {
	t.Helper()
	options.Log, options.NoFsync = os.Stderr, true
	ctx, cancel := bounded(t)
	defer cancel()
	plane, err := Start(ctx, options)
	if err != nil {
		t.Fatalf("%v\n(to fill the cache of binaries first: go run ./hack/controlplane/cmd/controlplane build)", err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	return plane
}

func bounded(t *testing.T) (context.Context, context.CancelFunc) {
	if deadline, ok := t.Deadline(); ok {
		return context.WithDeadline(context.Background(), deadline.Add(-20*time.Second))
	}
	return context.WithCancel(context.Background())
}

func kubectl(t *testing.T, plane *ControlPlane, stdin string, args ...string) string {
	t.Helper()
	out, err := plane.Kubectl(context.Background(), strings.NewReader(stdin), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"made-here","ownerReferences":%s}}`

const thingCRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.test.keelway.dev}
spec:
  group: test.keelway.dev
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`

func TestCollectorKnowsCRDsFromTheStart(t *testing.T) {
	path := t.TempDir() + "/things.yaml"
	putFile(t, path, thingCRD, 0o600)
	plane := begin(t, Options{CRDs: []string{path}})
	start := time.Now()
	thing := `{"apiVersion":"test.keelway.dev/v1","kind":"Thing","metadata":{"name":%q,"ownerReferences":%s}}`
	kubectl(t, plane, fmt.Sprintf(thing, "owner", "[]"), "create", "-f", "-")
	uid := kubectl(t, plane, "", "get", "thing", "owner", "-o", "jsonpath={.metadata.uid}")
	owned := fmt.Sprintf(`[{"apiVersion":"test.keelway.dev/v1","kind":"Thing","name":"owner","uid":%q}]`, uid)
	kubectl(t, plane, fmt.Sprintf(thing, "child", owned), "create", "-f", "-")
	kubectl(t, plane, "", "delete", "thing", "owner")
	waitFor(t, "the child to go with its owner", func() error {
		if out := kubectl(t, plane, "", "get", "things", "-o", "name"); out != "" {
			return fmt.Errorf("left are %s", out)
		}
		return nil
	})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("collecting took %s: the collector learned of the kind later than at its start", took)
	}
}

func TestControlPlane(t *testing.T) {
	plane := begin(t, Options{AuditLog: true})
	gone := func(t *testing.T, kind, name string) {
		waitFor(t, kind+" "+name+" to go", func() error {
			if out := kubectl(t, plane, "", "get", kind, name, "-n", "made-here", "--ignore-not-found", "-o", "name"); out != "" {
				return errors.New("it is still there")
			}
			return nil
		})
	}

	t.Run("the version is the pinned one", func(t *testing.T) {
		src, err := findSource()
		if err != nil {
			t.Fatal(err)
		}
		if out := kubectl(t, plane, "", "version"); strings.Count(out, src.version) != 2 {
			t.Errorf("client and server should say %s:\n%s", src.version, out)
		}
		if version, err := plane.Assets().EtcdVersion(context.Background()); err != nil || strings.Count(version, ".") != 2 {
			t.Errorf("etcd's version is %q, %v", version, err)
		}
	})
	t.Run("a kubeconfig is its owner's alone", func(t *testing.T) {
		if info, err := os.Stat(plane.Kubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
	t.Run("children go with their owner, and a namespace with its contents", func(t *testing.T) {
		kubectl(t, plane, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"made-here"}}`, "apply", "-f", "-")
		kubectl(t, plane, fmt.Sprintf(configMap, "owner", "[]"), "apply", "-f", "-")
		uid := kubectl(t, plane, "", "get", "configmap", "owner", "-n", "made-here", "-o", "jsonpath={.metadata.uid}")
		owned := fmt.Sprintf(`[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q}]`, uid)
		kubectl(t, plane, fmt.Sprintf(configMap, "child", owned), "apply", "-f", "-")
		kubectl(t, plane, "", "delete", "configmap", "owner", "-n", "made-here")
		gone(t, "configmap", "child")
		kubectl(t, plane, "", "delete", "namespace", "made-here", "--wait=false")
		gone(t, "namespace", "made-here")
	})
	t.Run("others have no rights and names of their own", func(t *testing.T) {
		path, err := plane.KubeconfigFor("system:serviceaccount:a:b", "some-group")
		if err != nil {
			t.Fatal(err)
		}
		_, err = plane.Kubectl(context.Background(), nil, "--kubeconfig", path, "create", "configmap", "x")
		if err == nil || !strings.Contains(err.Error(), `User "system:serviceaccount:a:b" cannot create resource "configmaps"`) {
			t.Errorf("want to be refused by that name, got %v", err)
		}
	})
	t.Run("writes are in the audit log", func(t *testing.T) {
		waitFor(t, "the refused write to be logged", func() error { return refusedWrite(plane.AuditLog()) })
	})
	t.Run("a component that ends by itself is reported", func(t *testing.T) {
		last := plane.processes[len(plane.processes)-1]
		if err := last.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := plane.Wait(ctx); err == nil || !strings.Contains(err.Error(), "kube-controller-manager ended by itself: signal: killed") {
			t.Errorf("got %v", err)
		}
	})
}

// refusedWrite looks for exactly one refused creation by the user without rights, and for no reads.
func refusedWrite(log string) error {
	events, err := ReadAudit(log)
	if err != nil {
		return err
	}
	found := 0
	for _, e := range events {
		if e.Verb == "get" || e.Verb == "list" || e.Verb == "watch" {
			return fmt.Errorf("a read is logged: %+v", e)
		}
		if e.User.Username == "system:serviceaccount:a:b" && e.Verb == "create" && e.ObjectRef.Resource == "configmaps" && e.ResponseStatus.Code == 403 {
			found++
		}
	}
	if found != 1 {
		return fmt.Errorf("%d such events among %d", found, len(events))
	}
	return nil
}

func TestSecondStartContinues(t *testing.T) {
	dir := t.TempDir()
	first := begin(t, Options{Dir: dir, NoControllerManager: true})
	kubectl(t, first, "", "create", "namespace", "kept")
	old, err := os.ReadFile(first.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(context.Background()); err != nil {
		t.Errorf("waiting for a stopped control plane gave %v", err)
	}
	if pids := first.Pids(); len(pids) > 0 {
		t.Errorf("still running after Stop: %v", pids)
	}
	second := begin(t, Options{Dir: dir, NoControllerManager: true})
	if second.URL() != first.URL() {
		t.Errorf("the address was %s and is now %s", first.URL(), second.URL())
	}
	putFile(t, dir+"/old", string(old), 0o600)
	kubectl(t, second, "", "--kubeconfig", dir+"/old", "get", "namespace", "kept")
	if len(second.Pids()) != 2 {
		t.Errorf("running are %v, want etcd and the API server alone", second.Pids())
	}
}

func TestFailedStartSaysWhy(t *testing.T) {
	ctx, cancel := bounded(t)
	defer cancel()
	t.Setenv("TMPDIR", t.TempDir())
	_, err := Start(ctx, Options{Log: os.Stderr, NoFsync: true, APIServerArgs: []string{"--no-such-flag=1"}})
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver ended by itself") || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("want the component and the end of its log, got %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("a failed start left %v, %v", left, err)
	}
}
