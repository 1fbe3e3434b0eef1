package batchworkflow

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

const (
	two     = "operations:\n- {name: servers, type: ServerBatch, serverBatch: {forEach: [{key: a}, {key: b}], template: {spec: {providerRef: {name: p}, updatePolicy: ReplaceAllowed}}}}\n"
	service = `- {name: etcd, type: TaskServiceBatch, dependsOn: [{operation: servers}], taskServiceBatch: {recipes: [{name: etcd, version: "3"}], targets: {operation: servers}}}` + "\n"
	last    = "- {name: last, type: Command, onFailure: Rollback, dependsOn: [{operation: etcd}], command: {script: 'true', target: {operation: servers, key: a}}}\n"
)

// uid of a server of the workflow's operation `servers`.
func (b *bench) uid(key string) string {
	s := &v1alpha1.Server{}
	if err := b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "servers", key)}, s); err != nil {
		return ""
	}
	return string(s.UID)
}

func (b *bench) service() *v1alpha1.TaskService {
	t := &v1alpha1.TaskService{}
	Expect(b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "etcd", "etcd")}, t)).To(Succeed())
	return t
}

// ended waits until that run has come to that end, and the last edit with it.
func (b *bench) ended(run int32, phase v1alpha1.WorkflowPhase) {
	EventuallyWithOffset(1, func(g Gomega) {
		w := b.get()
		g.Expect(w.Status.Run).NotTo(BeNil())
		g.Expect(w.Status.Run.Number).To(Equal(run), b.message())
		g.Expect(w.Status.Phase).To(Equal(phase), b.message())
		g.Expect(w.Status.ObservedGeneration).To(Equal(w.Generation))
	}).Should(Succeed())
}

var _ = Describe("a workflow that is edited", func() {
	It("makes one child for a value at the head of a forEach, touches no other, and tells the service", func() {
		b := newBench()
		b.apply(two + service)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		before := b.servers()
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			batch := w.Spec.Operations[0].ServerBatch
			batch.ForEach = append([]v1alpha1.ServerItem{{Key: "new"}}, batch.ForEach...)
		})
		b.ended(2, v1alpha1.WorkflowSucceeded)
		Expect(b.servers()).To(HaveLen(3))
		Expect(b.servers()).To(ContainElements(before), "not even a resourceVersion is another one")
		Expect(b.service().Spec.Servers.Names).To(HaveLen(3))
		Expect(b.service().Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationEffect, "Updated"))
		Expect(b.leaves.made).To(HaveEach(1))
	})

	It("undoes what its second run did, and nothing that the first one made", func() {
		b := newBench()
		b.apply(two + service)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		a, spec := b.uid("a"), b.service().Spec
		b.leaves.set(func() { b.leaves.fails["last"] = 9 })
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			next := b.read(two + service + last)
			next.Operations[0].ServerBatch.ForEach = append(next.Operations[0].ServerBatch.ForEach, v1alpha1.ServerItem{Key: "c"})
			next.Operations[1].TaskServiceBatch.Recipes[0].Version = "4"
			w.Spec.Operations = next.Operations
		})
		b.ended(2, v1alpha1.WorkflowRolledBack)
		Expect(b.uid("a")).To(Equal(a))
		Expect(b.servers()).To(HaveLen(2))
		Expect(b.service().Spec).To(Equal(spec))
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations = b.read(two + service).Operations })
		b.ended(3, v1alpha1.WorkflowSucceeded)
		Expect(b.uid("a")).To(Equal(a))
	})

	It("makes another server where one cannot be changed, and services leave it first", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holdsServers = true })
		b.apply(two + service)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		a, old := b.uid("a"), b.uid("b")
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations[0].ServerBatch.ForEach[1].Zone = "elsewhere" })
		b.ended(2, v1alpha1.WorkflowSucceeded)
		Expect(b.uid("b")).NotTo(Equal(old))
		Expect(b.uid("a")).To(Equal(a))
		Expect(b.service().Spec.Servers.Names).To(HaveLen(2))
	})

	It("leaves what was removed and lists it, prunes it when asked to, and runs again for another runID", func() {
		b := newBench()
		b.apply(two + service)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			w.Spec.Operations[0].ServerBatch.ForEach = w.Spec.Operations[0].ServerBatch.ForEach[:1]
		})
		b.ended(2, v1alpha1.WorkflowSucceeded)
		Expect(b.get().Status.Removed).To(ConsistOf(HaveField("Key", "b")))
		Consistently(b.servers, "500ms").Should(HaveLen(2))
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Prune, w.Spec.RunID = true, "prune" })
		b.ended(3, v1alpha1.WorkflowSucceeded)
		Expect(b.servers()).To(HaveLen(1))
		Expect(b.get().Status.Removed).To(BeEmpty())
	})

	It("lets what is in flight end, also when the operator starts anew, and then plans again in the same run", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["servers"] = true })
		b.apply(two + service)
		Eventually(b.servers).Should(HaveLen(2))
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations[1].TaskServiceBatch.Recipes[0].Version = "4" })
		Eventually(b.message).Should(ContainSubstring("the operations were edited"))
		b.running.Stop()
		b.start(b.leaves.setup)
		b.leaves.set(func() { b.leaves.holds["servers"] = false })
		for _, s := range b.servers() {
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		b.ended(1, v1alpha1.WorkflowSucceeded)
		Expect(b.service().Spec.Version).To(Equal("4"))
		Expect(b.leaves.made).To(HaveEach(1))
	})

	It("adopts what an earlier one left behind", func() {
		b := newBench()
		b.apply(two)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		a := b.uid("a")
		Expect(b.Client.Delete(context.Background(), b.get(), client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
		Eventually(func() error {
			return b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: "w"}, &v1alpha1.BatchWorkflow{})
		}).ShouldNot(Succeed())
		b.apply(two)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		Expect(b.uid("a")).To(Equal(a))
		Expect(b.servers()[0].Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationEffect, "Adopted"))
	})

	It("says by name what cannot be: another type under a name that stands", func() {
		b := newBench()
		b.apply(two)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			w.Spec.Operations = b.read("operations:\n- {name: servers, type: Wait, wait: {duration: 0s}}\n").Operations
		})
		Eventually(b.message).Should(ContainSubstring(`operation "servers" is a Wait, and what it made as a ServerBatch stands`))
		Expect(reconcile.Condition(b.get(), v1alpha1.StalledCondition)).NotTo(BeNil())
		Expect(b.servers()).To(HaveLen(2))
	})
})
