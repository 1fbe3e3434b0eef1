package batchworkflow

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// powers are the wanted states of all Servers, by name.
func (b *bench) powers() map[string]v1alpha1.Power {
	all := map[string]v1alpha1.Power{}
	for _, s := range b.servers() {
		all[s.Name] = s.Spec.Power
	}
	return all
}

var _ = Describe("an operation of type Power", func() {
	It("switches the servers that the workflow made, and nothing else", func() {
		b := newBench()
		other := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "other", Labels: map[string]string{v1alpha1.LabelOperation: "one"}}}
		other.Spec.ProviderRef.Name = "p"
		Expect(b.Client.Create(context.Background(), other)).To(Succeed())
		b.apply("operations:\n" + batch("one", 2, "") + `
- {name: off, type: Power, dependsOn: [{operation: one}], power: {state: Stopped, target: {operation: one, key: "1"}}}
`)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.powers()).To(Equal(map[string]v1alpha1.Power{
			"other": v1alpha1.PowerRunning, v1alpha1.ChildName("w", "one", "0"): v1alpha1.PowerRunning, v1alpha1.ChildName("w", "one", "1"): v1alpha1.PowerStopped,
		}))

		b.edit(func(w *v1alpha1.BatchWorkflow) { // an update leaves it as it is
			w.Spec.Operations[0].ServerBatch.Template.Labels = map[string]v1alpha1.LabelValue{"role": "web"}
		})
		Eventually(func() (labels []string) {
			for _, s := range b.servers() {
				labels = append(labels, s.Labels["role"])
			}
			return labels
		}).Should(ConsistOf("", "web", "web"))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.powers()).To(HaveKeyWithValue(v1alpha1.ChildName("w", "one", "1"), v1alpha1.PowerStopped))
	})

	It("is undone: what was kept is switched back", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["two"] = 99 })
		b.apply("onFailure: Rollback\noperations:\n" + batch("one", 1, ", keepOnUndo: true") + `
- {name: off, type: Power, dependsOn: [{operation: one}], power: {state: Stopped, target: {operation: one}}}
` + batch("two", 1, ", dependsOn: [{operation: off}]"))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		Expect(b.powers()).To(Equal(map[string]v1alpha1.Power{v1alpha1.ChildName("w", "one", "0"): v1alpha1.PowerRunning}))
		Expect(b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "one", "0")}, &v1alpha1.Server{})).To(Succeed())
	})
})
