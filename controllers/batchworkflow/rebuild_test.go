package batchworkflow

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// lose takes the Checkpoint away, finalizer and all.
func (b *bench) lose() *v1alpha1.Checkpoint {
	c := &v1alpha1.Checkpoint{}
	ExpectWithOffset(1, b.Client.Get(context.Background(), b.request().NamespacedName, c)).To(Succeed())
	ExpectWithOffset(1, b.Client.Delete(context.Background(), c)).To(Succeed())
	ExpectWithOffset(1, b.Client.Patch(context.Background(), c, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
	return c
}

// ledger reads what the Checkpoint holds now; nil before it holds anything.
func (b *bench) ledger() *saga.Ledger {
	c := &v1alpha1.Checkpoint{}
	if err := b.Client.Get(context.Background(), b.request().NamespacedName, c); err != nil || len(c.Status.Data) == 0 {
		return nil
	}
	l, err := saga.Decode(c.Status.Data)
	Expect(err).NotTo(HaveOccurred())
	return l
}

var _ = Describe("a Checkpoint that is taken away", func() {
	It("does not go as long as its workflow is there, only because somebody deleted it", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		c := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, c)).To(Succeed())
		Expect(b.Client.Delete(context.Background(), c)).To(Succeed())
		Consistently(b.ledger, "500ms").ShouldNot(BeNil())
	})

	It("is made anew from the children when the run is over, and nothing is made twice", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 2, "") + batch("two", 1, `, dependsOn: [{operation: one}]`))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		old := b.lose()
		Eventually(b.ledger).ShouldNot(BeNil())
		after := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, after)).To(Succeed())
		Expect(after.UID).NotTo(Equal(old.UID))
		Expect(b.ledger().Phase).To(Equal(saga.RunSucceeded))
		Expect(b.ledger().Phases).To(HaveEach(saga.Succeeded))
		Expect(b.phase()).To(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.leaves.made).To(HaveEach(1))
	})

	It("is made anew in mid-run, also by another operator, and where the children tell all the run goes on", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["two"] = true })
		b.apply("operations:\n" + batch("one", 2, "") + batch("two", 1, `, dependsOn: [{operation: one}]`) + batch("three", 1, `, dependsOn: [{operation: two}]`))
		Eventually(b.servers).Should(HaveLen(3))
		b.running.Stop()
		b.lose()
		b.start(b.leaves.setup)
		Eventually(b.ledger).ShouldNot(BeNil())
		Expect(b.ledger().Phases).To(Equal([]saga.Phase{saga.Succeeded, saga.Succeeded, saga.Running, saga.Pending}), "what needs two, which has never been ready, was never ordered")
		b.leaves.set(func() { b.leaves.holds["two"] = false })
		for _, s := range b.servers() {
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.servers()).To(HaveLen(4))
		Expect(b.leaves.made).To(HaveEach(1))
	})

	It("makes Unknown what the children do not tell, undoes nothing, and goes on when somebody has looked", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("onFailure: Rollback\noperations:\n" + batch("one", 1, "") + "- {name: breath, type: Wait, wait: {duration: 1s}}\n" + batch("two", 1, `, dependsOn: [{operation: breath}, {operation: one}]`))
		Eventually(b.servers).Should(HaveLen(1))
		b.running.Stop()
		b.lose()
		b.leaves.set(func() { b.leaves.holds["one"] = false })
		b.start(b.leaves.setup)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowFailed))
		Expect(b.message()).To(And(ContainSubstring(`operation "breath": CheckpointLost`), ContainSubstring("look, then annotate keelway.dev/retry")))
		Expect(b.servers()).To(HaveLen(1), "what is there stays, whatever onFailure says")
		b.ask("retry", "all@1")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.leaves.made).To(HaveEach(1))
	})

	It("is made anew in a later run: what that has not come to is done, with the values as they are, and only what it did is undone", func() {
		b := newBench()
		b.apply(two + service)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		a, spec := b.uid("a"), b.service().Spec
		b.leaves.set(func() { b.leaves.holds["servers"], b.leaves.fails["last"] = true, 9 })
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			next := b.read(two + service + strings.Replace(last, "script: 'true'", "script: 'true', env: [{name: ALL, value: '${operations.servers.outputs.names}'}]", 1))
			next.Operations[0].ServerBatch.ForEach = append(next.Operations[0].ServerBatch.ForEach, v1alpha1.ServerItem{Key: "c"})
			next.Operations[1].TaskServiceBatch.Recipes[0].Version = "4"
			w.Spec.Operations = next.Operations
		})
		Eventually(b.servers).Should(HaveLen(3))
		Eventually(func() int32 { return b.get().Status.Run.Number }).Should(BeEquivalentTo(2))
		b.running.Stop()
		b.lose()
		b.start(b.leaves.setup)
		Eventually(b.ledger).ShouldNot(BeNil())
		Expect(b.ledger().Run).To(BeEquivalentTo(2))
		b.leaves.set(func() { b.leaves.holds["servers"] = false })
		for _, s := range b.servers() {
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		b.ended(2, v1alpha1.WorkflowFailed)
		Expect(b.message()).To(ContainSubstring(`operation "last": CheckpointLost`), "whether it ran is not known, and onFailure undoes nothing of that")
		Expect(b.servers()).To(HaveLen(3))
		Expect(b.service().Spec).To(Equal(spec))
		b.ask("retry", "all@1")
		b.ended(2, v1alpha1.WorkflowRolledBack)
		run := &v1alpha1.Run{}
		Expect(b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "last", "0")}, run)).To(Succeed())
		Expect(run.Spec.Command.Env[0].Value).To(Equal(v1alpha1.ChildName("w", "servers", "a")+","+v1alpha1.ChildName("w", "servers", "b")+","+v1alpha1.ChildName("w", "servers", "c")), "outputs are frozen anew")
		Expect(b.uid("a")).To(Equal(a))
		Expect(b.servers()).To(HaveLen(2))
		Expect(b.service().Spec).To(Equal(spec))
	})

	It("cannot be made anew while there are children of no operation: it says so, and touches nothing", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		b.running.Stop()
		b.lose()
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations[0].Name = "other" })
		b.start(b.leaves.setup)
		Eventually(b.reason).Should(Equal(string(fault.ReasonCheckpointLost)))
		Expect(b.message()).To(ContainSubstring(v1alpha1.ChildName("w", "one", "0")))
		Consistently(b.servers, "500ms").Should(HaveLen(1))
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations[0].Name = "one" })
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
	})
})
