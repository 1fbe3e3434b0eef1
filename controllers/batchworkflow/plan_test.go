package batchworkflow

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// onRecord is the plan that is kept beside the ledger.
func (b *bench) onRecord() *v1alpha1.CheckpointPlan {
	c := &v1alpha1.Checkpoint{}
	Expect(b.Client.Get(context.Background(), b.request().NamespacedName, c)).To(Succeed())
	return c.Status.Plan
}

// summary is the plan in short.
func (b *bench) summary() string {
	if p := b.get().Status.Plan; p != nil {
		return p.Summary
	}
	return ""
}

func (b *bench) condition(of string) *metav1.Condition { return reconcile.Condition(b.get(), of) }

var _ = Describe("a plan", func() {
	It("says what a run would do, reads alone, and writes nothing but itself", func() {
		b := newBench()
		b.apply("mode: Plan\noperations:\n" + batch("one", 3, "") + batch("two", 1, fmt.Sprintf(after, "one")))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowPlanned))
		Expect(b.summary()).To(Equal("+4 ~0 -0"))
		ready := b.condition(v1alpha1.ReadyCondition)
		Expect(ready.Status).To(Equal(metav1.ConditionTrue))
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonPlanned))
		Expect(b.condition(v1alpha1.SucceededCondition)).To(BeNil())
		whole, err := plan.DecodePreview(b.onRecord().Data)
		Expect(err).NotTo(HaveOccurred())
		Expect(whole.Hash).To(Equal(b.get().Status.Plan.Hash))
		Expect(whole.Operations).To(HaveLen(2))

		time.Sleep(time.Second) // events are written a little later
		before := b.Writes(GinkgoTB(), b.running.UserAgent)
		for _, write := range before {
			Expect(write.ObjectRef.Resource).To(BeElementOf("batchworkflows", "checkpoints", "events"), "a mutating call while planning")
		}
		Consistently(func() int { return len(b.Writes(GinkgoTB(), b.running.UserAgent)) }, "2s").Should(Equal(len(before)))
		Expect(b.servers()).To(BeEmpty())

		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Mode = v1alpha1.ModeApply })
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.get().Status.Plan).To(BeNil())
		Expect(b.onRecord()).To(BeNil())
	})

	It("runs once that very plan is approved", func() {
		b := newBench()
		b.apply("mode: ApplyAfterApproval\noperations:\n" + batch("one", 2, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowAwaitingApproval))
		b.policies()
		hash := b.get().Status.Plan.Hash
		b.ask("approve", "00112233445566778899aabbccddeeff")
		Eventually(b.message).Should(ContainSubstring("its hash is " + hash))
		b.ask("approve", "one")
		Consistently(b.servers, "500ms").Should(BeEmpty())
		b.ask("approve", hash)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.get().Status.Plan.ApprovedBy).To(Equal("admin"))
		Expect(b.get().Status.Plan.ApprovedAt.Time).To(BeTemporally("~", time.Now(), time.Minute))

		b.edit(func(w *v1alpha1.BatchWorkflow) { n := int32(3); w.Spec.Operations[0].ServerBatch.Count = &n })
		Eventually(b.summary).Should(Equal("+1 ~0 -0"))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowAwaitingApproval), "an approval is for one run")
		Expect(b.onRecord().ApprovedBy).To(BeEmpty())
		Expect(b.onRecord().ApprovedAt).To(BeNil())
		b.ask("approve", b.get().Status.Plan.Hash)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.servers()).To(HaveLen(3))
		Expect(b.leaves.made).To(HaveEach(1), "the plan said that the first two stay as they are")
	})

	It("is stale when the world has changed since, and then nothing runs", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			n := int32(2)
			w.Spec.Operations[0].ServerBatch.Count, w.Spec.Mode = &n, v1alpha1.ModeApplyAfterApproval
		})
		Eventually(b.summary).Should(Equal("+1 ~0 -0"))
		seen := b.get().Status.Plan.Hash
		gone := b.servers()[0]
		Expect(b.Client.Delete(context.Background(), &gone)).To(Succeed())
		Eventually(b.servers).Should(BeEmpty())
		b.ask("approve", seen)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowPlanStale))
		Eventually(b.summary).Should(Equal("+2 ~0 -0"))
		stalled := b.condition(v1alpha1.StalledCondition)
		Expect(stalled.Reason).To(Equal(string(fault.ReasonPlanStale)))
		Expect(stalled.Message).To(ContainSubstring(b.get().Status.Plan.Hash))
		Expect(b.condition(v1alpha1.SucceededCondition).Status).To(Equal(metav1.ConditionFalse))
		Consistently(b.servers, "500ms").Should(BeEmpty())
		b.ask("approve", b.get().Status.Plan.Hash)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.servers()).To(HaveLen(2))
	})

	It("survives the operator: what was approved goes on, what was not still waits", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("mode: ApplyAfterApproval\noperations:\n" + batch("one", 1, "") + batch("two", 1, fmt.Sprintf(after, "one")))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowAwaitingApproval))
		b.running.Stop()
		b.ask("approve", b.get().Status.Plan.Hash)
		b.running = b.start(b.leaves.setup)
		Eventually(b.servers).Should(HaveLen(1))
		b.running.Stop()
		b.leaves.set(func() { b.leaves.holds["one"] = false })
		b.running = b.start(b.leaves.setup)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(strings.Count(b.get().Status.Plan.Summary, "+2")).To(Equal(1), "the plan that was approved stays on record")
	})
})
