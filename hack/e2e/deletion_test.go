package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// brisk is a cloud for tests that look at something else than its pace.
var brisk = mem.Options{BootTime: 50 * time.Millisecond, DeleteTime: 50 * time.Millisecond, LogLimit: 1 << 16}

// small is a workflow "shop" of four servers in two operations, and a Wait between them.
const small = `
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: shop}
spec:
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: cloud}}}}}
  - {name: breath, type: Wait, dependsOn: [{operation: base}], wait: {duration: 0s}}
  - name: more
    type: ServerBatch
    dependsOn: [{operation: breath}]
    serverBatch: {forEach: [{key: blue}, {key: green, size: large}], template: {spec: {providerRef: {name: cloud}}}}
`

// scripts is a workflow "shop" on Process servers, with a Command and a Check on each.
const scripts = `
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: cloud}
spec: {type: Local, local: {driver: Process}}
---
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: shop}
spec:
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: cloud}}}}}
  - name: install
    type: Command
    dependsOn: [{operation: base}]
    command: {target: {operation: base}, script: 'mkdir -p "$KEELWAY_ROOT/etc" && echo installed >"$KEELWAY_ROOT/etc/shop" && sleep 600 </dev/null >/dev/null 2>&1 & echo pid=$! >>"$KEELWAY_RUN/outputs"'}
  - name: answers
    type: Check
    dependsOn: [{operation: install}]
    check: {target: {operation: base}, command: {script: 'cat "$KEELWAY_ROOT/etc/shop"'}, expect: {outputContains: installed}}
`

// What is left behind when somebody deletes a part of what belongs together; see deletion_matrix_test.go for the whole of it.
func TestDeletion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		delete func(*bench)
		left   []string // objects, but Servers
		live   int      // machines and their Servers
	}{
		"a Server by itself": {
			reason: "a Server that a person deletes after the run has ended stays deleted",
			delete: func(b *bench) { b.kubectl("", "delete", "ksrv", "-l", "keelway.dev/operation=more", "--timeout=120s") },
			left:   []string{"provider.keelway.dev/cloud", "batchworkflow.keelway.dev/shop", "checkpoint.keelway.dev/shop"},
			live:   2,
		},
		"the Provider first": {
			reason: "a Provider in use stays and names who uses it; it goes when they have gone",
			delete: func(b *bench) {
				b.kubectl("", "delete", "kprov/cloud", "--wait=false")
				b.eventually("the Provider says what holds it", patience, func() error { return b.blockedBy("shop-base-0", "shop-more-blue") })
				b.kubectl("", "delete", "bwf/shop", "--wait=false")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(tc.reason)
			b := newBench(t, brisk)
			b.start()
			b.provider(maxInFlight)
			b.apply(small)
			b.reaches("shop", v1alpha1.WorkflowSucceeded)
			b.once(4)
			tc.delete(b)
			b.remains(tc.live, tc.left...)
			b.once(4)
		})
	}
}

// remains waits until only the named objects are left besides so many Servers, each with its machine.
func (b *bench) remains(servers int, objects ...string) {
	b.t.Helper()
	begun := time.Now()
	b.eventually("only what should stay is left", patience, func() error {
		names, ready := map[string]bool{}, 0
		for _, name := range b.left() {
			if !strings.HasPrefix(name, "server.keelway.dev/") {
				names[name] = true
			}
		}
		for _, s := range b.servers() {
			if s.DeletionTimestamp == nil && s.Status.Phase == v1alpha1.ServerReady {
				ready++
			} else {
				names[s.Name] = true
			}
		}
		r := b.cloud.Report()
		for _, name := range objects {
			if !names[name] {
				b.t.Fatalf("%s is gone; there are %v", name, names)
			}
		}
		if len(names) != len(objects) || ready != servers || r.Live != servers || r.Ending > 0 {
			return fmt.Errorf("there are %v and %d Servers, with %d machines, %d ending", names, ready, r.Live, r.Ending)
		}
		return nil
	})
	b.t.Logf("it was so after %.1f s", time.Since(begun).Seconds())
}

// blockedBy says whether the Provider's deletion is blocked and names Servers that begin so.
func (b *bench) blockedBy(names ...string) error {
	ready := reconcile.Condition(get(b, "cloud", &v1alpha1.Provider{}), v1alpha1.ReadyCondition)
	if ready == nil || ready.Reason != "DeletionBlocked" {
		return fmt.Errorf("its condition is %+v", ready)
	}
	for _, name := range names {
		if !strings.Contains(ready.Message, name) {
			return fmt.Errorf("%s is not named: %s", name, ready.Message)
		}
	}
	return nil
}

// The same on machines that are real as far as they go: nothing of them is left, no directory and no process.
func TestDeletionOnProcessServers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		args   []string
	}{
		"background":    {"the Runs' own tidying comes before the machine goes", []string{"-n", "NS", "delete", "bwf/shop", "kprov/cloud", "--wait=false"}},
		"foreground":    {"the collector deletes Servers and Runs at once: a Server waits for its Runs", []string{"-n", "NS", "delete", "bwf/shop", "kprov/cloud", "--cascade=foreground", "--wait=false"}},
		"the namespace": {"everything at once", []string{"delete", "namespace", "NS", "--wait=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(tc.reason)
			b := newBench(t, brisk)
			b.start()
			b.apply(scripts)
			b.reaches("shop", v1alpha1.WorkflowSucceeded)
			pids := b.outputs("pid")
			if len(pids) != 2 {
				t.Fatalf("%d commands told their child's pid", len(pids))
			}
			for _, pid := range pids {
				if !alive(pid) {
					t.Fatalf("process %s, which a command left running, is not there", pid)
				}
			}
			for i, arg := range tc.args {
				tc.args[i] = strings.ReplaceAll(arg, "NS", b.namespace)
			}
			b.Kubectl(t, "", tc.args...)
			b.vanishes()
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("process %s outlives its server", pid)
				}
			}
			if left := b.directories(); len(left) > 0 {
				t.Errorf("directories of servers are left: %v", left)
			}
		})
	}
}

// outputs collects one output of all Runs.
func (b *bench) outputs(name string) (values []string) {
	b.t.Helper()
	var list v1alpha1.RunList
	if err := b.Client.List(b.t.Context(), &list, client.InNamespace(b.namespace)); err != nil {
		b.t.Fatal(err)
	}
	for i := range list.Items {
		if value := list.Items[i].Status.Outputs[name]; value != "" {
			values = append(values, value)
		}
	}
	return values
}

// alive says whether a process that a Run of ours started is there, and no other one of that number.
func alive(pid string) bool {
	environment, err := os.ReadFile("/proc/" + pid + "/environ")
	return err == nil && strings.Contains(string(environment), "KEELWAY_SERVER=")
}

// directories are those of servers in the operator's state directory: one for each that was not removed.
func (b *bench) directories() (names []string) {
	entries, _ := os.ReadDir(b.stateDir)
	for _, entry := range entries {
		if entry.IsDir() {
			inner, _ := os.ReadDir(b.stateDir + "/" + entry.Name())
			for _, one := range inner {
				names = append(names, entry.Name()+"/"+one.Name())
			}
		}
	}
	return names
}
