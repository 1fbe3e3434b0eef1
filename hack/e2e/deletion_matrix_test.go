package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/saga"
)

// unhurried is a cloud in which a deletion meets machines in the making and machines on their way out.
var unhurried = mem.Options{BootTime: 400 * time.Millisecond, DeleteTime: 400 * time.Millisecond, LogLimit: 1 << 16}

// store is a workflow "shop" of everything that can hold a deletion up: servers, a service on them that reads a Secret, a check, and
// servers that come last, of the given size.
func store(suspend bool, size string, policy v1alpha1.DeletionPolicy) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: tokens}
stringData: {etcd: not-for-the-eyes-of-people}
---
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: shop}
spec:
  suspend: %t
  deletionPolicy: %s
  onFailure: Rollback
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: cloud}}}}}
  - name: etcd
    type: TaskServiceBatch
    dependsOn: [{operation: base}]
    taskServiceBatch:
      targets: {operation: base}
      recipes: [{name: etcd, parametersFrom: [{parameter: clusterToken, secretKeyRef: {name: tokens, key: etcd}}]}]
  - {name: check, type: Check, dependsOn: [{operation: etcd}], check: {target: {operation: base, key: "0"}, command: {script: 'true'}}}
  - name: more
    type: ServerBatch
    dependsOn: [{operation: check}]
    serverBatch: {forEach: [{key: blue}, {key: green}], template: {spec: {providerRef: {name: cloud}}}}
  - {name: pause, type: Wait, dependsOn: [{operation: check}], wait: {duration: 1s}}
  - name: last
    type: ServerBatch
    dependsOn: [{operation: more}, {operation: pause}]
    serverBatch: {count: 1, template: {spec: {providerRef: {name: cloud}, size: %s}}}
`, suspend, policy, size)
}

// moments are when somebody deletes.
var moments = map[string]struct {
	suspend bool
	size    string
	reach   func(b *bench)
}{
	"before its start": {suspend: true, size: "small", reach: func(b *bench) { b.reaches("shop", v1alpha1.WorkflowSuspended) }},
	"running": {size: "small", reach: func(b *bench) {
		b.eventually("the run is on its way", patience, func() error {
			if l := b.latest("shop"); l == nil || l.Counts()[saga.Succeeded] < 2 {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}},
	"undoing": {size: "colossal", reach: func(b *bench) {
		b.eventually("the run is undone", patience, func() error {
			if l := b.latest("shop"); l == nil || l.Phase != saga.RunUndoing {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}},
	"finished": {size: "small", reach: func(b *bench) { b.reaches("shop", v1alpha1.WorkflowSucceeded) }},
}

// ways are how somebody deletes a workflow of a deletionPolicy, with what is left when it is over; orphans says that the children stay.
var ways = map[string]struct {
	reason  string
	policy  v1alpha1.DeletionPolicy
	delete  func(b *bench)
	left    []string
	orphans bool
}{
	"background": {
		reason: "the workflow takes everything along, in the order that its leaves keep",
		delete: func(b *bench) { b.kubectl("", "delete", "bwf", "shop", "--cascade=background", "--wait=false") },
		left:   []string{"provider.keelway.dev/cloud"},
	},
	"foreground": {
		reason: "the garbage collector deletes the children first and in no order: the leaves keep theirs all the same",
		delete: func(b *bench) { b.kubectl("", "delete", "bwf", "shop", "--cascade=foreground", "--wait=false") },
		left:   []string{"provider.keelway.dev/cloud"},
	},
	"orphan": {
		reason: "who asks for orphans keeps what is there, as it is; only the ledger goes with the workflow",
		delete: func(b *bench) { b.kubectl("", "delete", "bwf", "shop", "--cascade=orphan", "--wait=false") },
		left:   []string{"provider.keelway.dev/cloud"}, orphans: true,
	},
	"orphan by policy, background": {
		reason: "the workflow lets its children go before it goes itself",
		policy: v1alpha1.DeletionOrphan,
		delete: func(b *bench) { b.kubectl("", "delete", "bwf", "shop", "--cascade=background", "--wait=false") },
		left:   []string{"provider.keelway.dev/cloud"}, orphans: true,
	},
	"orphan by policy, foreground": {
		reason: "the garbage collector would delete the children at once, as it does for a GitOps tool, had they no other owner",
		policy: v1alpha1.DeletionOrphan,
		delete: func(b *bench) { b.kubectl("", "delete", "bwf", "shop", "--cascade=foreground", "--wait=false") },
		left:   []string{"provider.keelway.dev/cloud"}, orphans: true,
	},
	"orphan by policy, the namespace": {
		reason: "what outlives its workflow does not outlive its namespace",
		policy: v1alpha1.DeletionOrphan,
		delete: func(b *bench) { b.Kubectl(b.t, "", "delete", "namespace", b.namespace, "--wait=false") },
	},
	"the namespace": {
		reason: "everything goes at once, even what would be needed to tell about it",
		delete: func(b *bench) { b.Kubectl(b.t, "", "delete", "namespace", b.namespace, "--wait=false") },
	},
	"pruned in parallel": {
		reason: "a GitOps tool deletes all that it had applied in one go, and the Secret is gone first",
		delete: func(b *bench) {
			b.kubectl("", "delete", "secret/tokens")
			var group sync.WaitGroup
			for _, object := range []client.Object{
				&v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "cloud"}},
				&v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "shop"}},
			} {
				group.Go(func() {
					if err := b.Client.Delete(b.t.Context(), object); err != nil {
						b.t.Errorf("deleting %s: %v", object.GetName(), err)
					}
				})
			}
			group.Wait()
		},
	},
}

// Every way of deleting at every moment ends clean: no object, no machine, nothing made twice, and nothing made once the deletion has begun
// but what was on its way.
func TestDeletionByEveryWayAtEveryMoment(t *testing.T) {
	t.Parallel()
	for when, moment := range moments {
		for how, way := range ways {
			t.Run(how+", "+when, func(t *testing.T) {
				t.Parallel()
				t.Log(way.reason)
				b := newBench(t, unhurried)
				b.start()
				b.provider(maxInFlight)
				b.apply(store(moment.suspend, moment.size, cmp.Or(way.policy, v1alpha1.DeletionDelete)))
				moment.reach(b)
				stays := b.left()
				way.delete(b)
				if way.orphans {
					b.orphaned()
					if when != "undoing" { // then some are on their way out already
						b.kept(stays)
					}
					b.deletedByHand()
				}
				b.vanishes(way.left...)
				if strings.HasSuffix(how, "the namespace") {
					b.namespaceGoes()
				}
				if r := b.cloud.Report(); len(r.Violations) > 0 {
					t.Errorf("the cloud: %q", r.Violations)
				}
			})
		}
	}
}

func (b *bench) namespaceGoes() {
	b.t.Helper()
	b.eventually("the namespace goes", patience, func() error {
		err := b.Client.Get(b.t.Context(), types.NamespacedName{Name: b.namespace}, &corev1.Namespace{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is still there: %v", err)
		}
		return nil
	})
}

// orphaned holds that the workflow goes with its ledger alone: every child that nobody had asked to go stays, belongs to nobody, and
// has its machine.
func (b *bench) orphaned() {
	b.t.Helper()
	b.eventually("the workflow goes, and what it leaves comes to rest", patience, func() error {
		for _, name := range b.left() {
			if strings.HasPrefix(name, "batchworkflow.") || strings.HasPrefix(name, "checkpoint.") {
				return fmt.Errorf("%s is still there", name)
			}
		}
		ready := 0
		for _, s := range b.servers() {
			switch {
			case slices.ContainsFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind != "Namespace" }):
				return fmt.Errorf("server %s belongs to %v", s.Name, s.OwnerReferences)
			case s.DeletionTimestamp != nil:
				return fmt.Errorf("server %s goes", s.Name)
			case s.Status.Phase == v1alpha1.ServerReady:
				ready++
			case s.Spec.Size != "colossal":
				return fmt.Errorf("server %s is %s", s.Name, s.Status.Phase)
			}
		}
		if r := b.cloud.Report(); r.Live != ready || r.Ending > 0 {
			return fmt.Errorf("%d machines live for %d Servers, %d are ending", r.Live, ready, r.Ending)
		}
		return nil
	})
}

// kept holds that of what there was before the deletion only the workflow and its ledger are gone.
func (b *bench) kept(before []string) {
	b.t.Helper()
	now := b.left()
	for _, name := range before {
		if !strings.HasPrefix(name, "batchworkflow.") && !strings.HasPrefix(name, "checkpoint.") && !slices.Contains(now, name) {
			b.t.Errorf("%s is gone; there are %v", name, now)
		}
	}
}

// deletedByHand: who was left behind stands alone, and goes when a person deletes it.
func (b *bench) deletedByHand() {
	b.t.Helper()
	b.kubectl("", "delete", "ksrv,ktsv,krun", "--all", "--wait=false")
}

// A deletion that the cloud refuses, as it does when the credentials went first, is never given up: the workflow tells whom it waits for, and
// in whose words.
func TestDeletionTellsWhatBlocksIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, brisk)
	b.start()
	b.provider(maxInFlight)
	b.apply(workflow("shop", servers))
	b.reaches("shop", v1alpha1.WorkflowSucceeded)
	refuse := func(verb mem.Verb) {
		if verb == mem.Delete {
			b.cloud.Inject(mem.Order{Verb: verb, What: mem.Unauthorized})
		}
	}
	b.torment.Store(&refuse)
	b.kubectl("", "delete", "bwf/shop", "kprov/cloud", "--wait=false")
	b.eventually("the workflow tells", patience, func() error {
		ready := reconcile.Condition(get(b, "shop", &v1alpha1.BatchWorkflow{}), v1alpha1.ReadyCondition)
		for _, want := range []string{"still there: 1 Server", v1alpha1.ChildName("shop", "base", "0"), "these credentials may not do that", v1alpha1.AnnotationAbandon} {
			if ready == nil || ready.Reason != "DeletionBlocked" || !strings.Contains(ready.Message, want) {
				return fmt.Errorf("%q is not said: %+v", want, ready)
			}
		}
		return nil
	})
	b.torment.Store(nil)
	b.vanishes() // it is tried again, nobody has to ask
	b.once(1)
}
