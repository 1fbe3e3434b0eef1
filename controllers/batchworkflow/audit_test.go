package batchworkflow

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
)

// late makes a child as a stale operator would, of an instance whose order was taken back.
func (b *bench) late(w *v1alpha1.BatchWorkflow, operation string) *v1alpha1.Server {
	yes := true
	child := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: v1alpha1.ChildName("w", operation, "0"),
		Labels:          map[string]string{v1alpha1.LabelWorkflow: "w", v1alpha1.LabelOperation: operation, v1alpha1.LabelKey: "0"},
		Finalizers:      []string{v1alpha1.Finalizer},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BatchWorkflow", Name: "w", UID: w.UID, Controller: &yes}}},
		Spec: v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: "p"}}}}
	Expect(b.Client.Create(context.Background(), child)).To(Succeed())
	return child
}

var _ = Describe("the audit of workflows that are over", func() {
	It("TestAuditFindsWhatNoEventTold: a child that a dead leader had ordered is found and removed", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["one"] = 99 })
		w := b.apply("onFailure: Rollback\noperations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		b.running.Stop()
		auditor := b.second() // nothing wakes it
		look := func() error { _, err := auditor.Reconcile(context.Background(), b.request()); return err }
		overlooked := func() []*v1alpha1.BatchWorkflow {
			found, err := auditor.overlooked(context.Background())
			Expect(err).NotTo(HaveOccurred())
			return found
		}
		Eventually(look).Should(Succeed()) // its cache has to begin
		Eventually(func() int { Expect(look()).To(Succeed()); return len(auditor.shelf.ended()) }).Should(Equal(1))
		before := b.get().ResourceVersion
		Expect(overlooked()).To(BeEmpty(), "where nothing changed nobody is woken")

		b.late(w, "one")
		Eventually(overlooked).Should(HaveLen(1))
		Expect(overlooked()[0].Name).To(Equal("w"))
		Expect(look()).To(Succeed())
		Expect(b.servers()[0].DeletionTimestamp).NotTo(BeNil())
		Expect(look()).To(Succeed())
		Expect(overlooked()).To(BeEmpty(), "what goes is known")
		Expect(b.get().ResourceVersion).To(Equal(before), "nothing is written about it")
	})
})

var _ = Describe("the metrics", func() {
	It("TestMetricsHoldNoNames: they count workflows and instances, and for how long one is stuck", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["two"] = true })
		w := b.apply("operations:\n" + batch("one", 2, "") + batch("two", 1, `, dependsOn: [{operation: one}]`))
		Eventually(b.servers).Should(HaveLen(3))
		b.running.Stop()
		counting := b.second()
		Eventually(func() error { _, err := counting.Reconcile(context.Background(), b.request()); return err }).Should(Succeed())
		Eventually(func() int {
			_, err := counting.Reconcile(context.Background(), b.request())
			Expect(err).NotTo(HaveOccurred())
			return len(counting.shelf.all())
		}).Should(Equal(1))
		registry := prometheus.NewRegistry()
		clock := counting.kit.Now().Add(1000 * time.Second)
		Expect(registry.Register(collector{&counting.shelf, func() time.Time { return clock }})).To(Succeed())
		families, err := registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		var lines []string
		for _, family := range families {
			for _, metric := range family.Metric {
				var labels []string
				for _, label := range metric.Label {
					Expect(label.GetValue()).NotTo(Or(Equal(w.Name), Equal(w.Namespace), Equal("one")))
					labels = append(labels, label.GetValue())
				}
				if family.GetName() == "keelway_workflow_stuck_seconds" {
					Expect(metric.Gauge.GetValue()).To(And(BeNumerically(">=", 1000), BeNumerically("<", 1100)))
					continue
				}
				lines = append(lines, family.GetName()+" "+strings.Join(labels, " "))
			}
		}
		slices.Sort(lines)
		Expect(lines).To(ContainElements("keelway_workflows Running", "keelway_workflow_operations Running ServerBatch", "keelway_workflow_operations Succeeded ServerBatch"))

		counting.shelf.free(types.NamespacedName{Namespace: w.Namespace, Name: w.Name})
		Expect(counting.shelf.all()).To(BeEmpty(), "a workflow that is gone is not counted")
	})
})

var _ = Describe("a workflow that succeeded", func() {
	It("says which request it does not follow", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		b.ask("rollback", "now")
		Eventually(b.message).Should(And(ContainSubstring("1 of 1 done"), ContainSubstring("keelway.dev/rollback: now was refused: ")))
		Expect(b.phase()).To(Equal(v1alpha1.WorkflowSucceeded))
	})
})
