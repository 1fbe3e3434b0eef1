package batchworkflow

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// fleet is a workflow of servers of the given keys, and a command on each; the survey before it puts out "blue,green".
func fleet(keys string) string {
	return "operations:\n" + batch("desk", 1, "") +
		"- {name: survey, type: Command, dependsOn: [{operation: desk}], command: {script: 'true', target: {operation: desk}}}\n" +
		"- {name: fleet, type: ServerBatch, dependsOn: [{operation: survey}], serverBatch: {" + keys + ", template: {spec: {providerRef: {name: p}}}}}\n" +
		"- {name: init, type: Command, dependsOn: [{operation: fleet, match: SameIndex}], command: {script: 'true', target: {operation: fleet}}}\n"
}

const (
	listedFleet  = "forEachFrom: '${operations.survey.outputs.machines}'"
	writtenFleet = "forEach: [{key: blue}, {key: red}]"
)

// child returns the UID of the object that an instance has.
func (b *bench) child(empty client.Object, operation, key string) string {
	if err := b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", operation, key)}, empty); err != nil {
		return ""
	}
	return string(empty.GetUID())
}

var _ = Describe("entries that an output lists", func() {
	It("makes a server for each entry that an output lists, and none before the list is on record", func() {
		b := newBench()
		b.apply("operations:\n" + batch("desk", 1, "") +
			"- {name: survey, type: Command, dependsOn: [{operation: desk}], command: {script: 'true', target: {operation: desk}}}\n" +
			"- {name: fleet, type: ServerBatch, dependsOn: [{operation: survey}], serverBatch: {forEachFrom: '${operations.survey.outputs.machines}', template: {spec: {providerRef: {name: p}}}}}\n" +
			"- {name: ticks, type: Check, dependsOn: [{operation: fleet, match: SameIndex}], check: {target: {operation: fleet}, command: {script: 'true'}}}\n")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.servers()).To(HaveLen(3))
		Expect(b.get().Status.Progress).To(Equal("6/6"))
		for _, key := range []string{"blue", "green"} {
			var server v1alpha1.Server
			Expect(b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "fleet", key)}, &server)).To(Succeed())
			Expect(server.Labels).To(HaveKeyWithValue(v1alpha1.LabelKey, key))
		}
		Expect(b.leaves.made).To(HaveEach(1))
	})

	It("may take the place of written ones, and the other way round, under two operators, and nothing is done twice", func() {
		b := newBench()
		b.apply(fleet(writtenFleet))
		b.ended(1, v1alpha1.WorkflowSucceeded)
		blue, command := b.child(&v1alpha1.Server{}, "fleet", "blue"), b.child(&v1alpha1.Run{}, "init", "blue")
		Expect(command).NotTo(BeEmpty())

		b.leaves.set(func() { b.leaves.holds["fleet"] = true })
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations = b.read(fleet(listedFleet)).Operations })
		Eventually(func() string { return b.child(&v1alpha1.Server{}, "fleet", "green") }).ShouldNot(BeEmpty())
		b.running.Stop() // the list is on record, and one of it is in the making
		stale := b.second()
		b.start(b.leaves.setup)
		b.leaves.set(func() { b.leaves.holds["fleet"] = false })
		var green v1alpha1.Server
		b.child(&green, "fleet", "green")
		Expect(b.leaves.play(context.Background(), &green)).To(Succeed())
		Eventually(func() error { _, err := stale.Reconcile(context.Background(), b.request()); return err }).Should(Succeed(), "another one that believes to lead")
		b.ended(2, v1alpha1.WorkflowSucceeded)
		Expect(b.child(&v1alpha1.Server{}, "fleet", "blue")).To(Equal(blue))
		Expect(b.child(&v1alpha1.Run{}, "init", "blue")).To(Equal(command), "what was done on it is not done again")
		Expect(b.get().Status.Removed).To(ConsistOf(HaveField("Key", "red"), HaveField("Key", "red")), "the server and the command on it")

		servers := b.servers()
		b.edit(func(w *v1alpha1.BatchWorkflow) {
			w.Spec.Operations = b.read(fleet("forEach: [{key: blue}, {key: green}]")).Operations
		})
		b.ended(3, v1alpha1.WorkflowSucceeded)
		Expect(b.servers()).To(ConsistOf(servers), "not even a resourceVersion is another one")
		Expect(b.leaves.made).To(HaveEach(1))
	})
})
