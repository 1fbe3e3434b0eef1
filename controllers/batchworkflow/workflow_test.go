package batchworkflow

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

const after = ", dependsOn: [{operation: %s}]"

var _ = Describe("a workflow", func() {
	It("runs to its end, in order, and says so", func() {
		b := newBench()
		b.apply("parallelLimit: 2\noperations:\n" + batch("one", 3, "") + batch("two", 2, fmt.Sprintf(after, "one")) +
			"- {name: pause, type: Wait, wait: {duration: 0s}, dependsOn: [{operation: two}]}\n")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		w := b.get()
		Expect(w.Status.Progress).To(Equal("6/6"))
		Expect(w.Status.Run.Number).To(Equal(int32(1)))
		Expect(w.Status.Operations).To(HaveLen(6))
		Expect(b.servers()).To(HaveLen(5))
		first := b.servers()[0]
		Expect(first.Labels).To(HaveKeyWithValue(v1alpha1.LabelWorkflow, "w"))
		Expect(first.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationEffect, "Created"))
		Expect(first.Annotations).To(HaveKey(v1alpha1.AnnotationOrderedBy))
	})

	It("writes nothing once it has ended", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 3, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		time.Sleep(time.Second) // events are written a little later
		before := len(b.Writes(GinkgoTB(), b.running.UserAgent))
		Consistently(func() int { return len(b.Writes(GinkgoTB(), b.running.UserAgent)) }, "3s").Should(Equal(before))
	})

	It("prints a cycle, creates nothing and waits for an edit", func() {
		b := newBench()
		b.apply("operations:\n- {name: a, type: Wait, wait: {duration: 0s}, dependsOn: [{operation: b}]}\n- {name: b, type: Wait, wait: {duration: 0s}, dependsOn: [{operation: a}]}\n" + batch("servers", 1, ""))
		Eventually(b.message).Should(ContainSubstring("a → b → a"))
		Expect(reconcile.Condition(b.get(), v1alpha1.StalledCondition).Reason).To(Equal(string(fault.ReasonCycle)))
		Consistently(b.servers, "500ms").Should(BeEmpty())
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Operations[0].DependsOn = nil })
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
	})

	It("tries again on the same child, and fails with the child's words", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["one"] = 99 })
		b.apply("operations:\n" + batch("one", 1, ", retry: {limit: 2, backoff: {duration: 0s}}") + batch("two", 1, fmt.Sprintf(after, "one")))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowFailed))
		Expect(b.message()).To(ContainSubstring(`operation "one": ScriptFailed: the leaf's own words`))
		Expect(b.servers()).To(HaveLen(1))
		Expect(b.servers()[0].Annotations[v1alpha1.AnnotationAttempt]).To(Equal("3"))
		b.leaves.set(func() { Expect(b.leaves.made).To(HaveLen(1)) })
		Expect(reconcile.Condition(b.get(), v1alpha1.SucceededCondition).Status).To(Equal(metav1.ConditionFalse))
	})

	It("succeeds when a later attempt does", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["one"] = 2 })
		b.apply("operations:\n" + batch("one", 2, ", retry: {limit: 2, backoff: {duration: 0s}}"))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
	})

	It("undoes what it made, in reverse, and keeps the root cause", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["three"] = 99 })
		b.apply("onFailure: Rollback\noperations:\n" + batch("one", 2, "") + batch("two", 2, fmt.Sprintf(after, "one")) + batch("three", 1, fmt.Sprintf(after, "two")))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		Expect(b.servers()).To(BeEmpty())
		Expect(b.message()).To(ContainSubstring("the leaf's own words"))
		Expect(b.get().Status.Counts.Undone).To(Equal(int32(5)))
	})

	It("times an attempt out", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("operations:\n" + batch("one", 1, ", timeout: 1s"))
		Consistently(b.phase, "1s").ShouldNot(Equal(v1alpha1.WorkflowFailed)) // nobody has looked at the child: its time does not run
		server := b.servers()[0]
		base := server.DeepCopy()
		reconcile.Set(&server, v1alpha1.ReadyCondition, metav1.ConditionFalse, "InProgress", "booting", time.Now())
		reconcile.Flag(&server, v1alpha1.ReconcilingCondition, true, "InProgress", "booting", time.Now())
		server.Status.ObservedGeneration, server.Status.Attempt = server.Generation, 1
		Expect(b.Client.Status().Patch(context.Background(), &server, client.MergeFrom(base))).To(Succeed())
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowFailed))
		Expect(b.message()).To(And(ContainSubstring("TimedOut"), ContainSubstring("booting")))
	})

	It("does what an annotation asks for, once for each new value", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["two"] = 1 })
		b.apply("operations:\n" + batch("one", 1, "") + batch("two", 1, fmt.Sprintf(after, "one")) + batch("three", 1, fmt.Sprintf(after, "two")))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowFailed))
		b.ask("abort", "other")
		Eventually(b.message).Should(ContainSubstring("must be the name of the workflow, w"))
		b.ask("retry", "two@1")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.get().Status.Handled).To(Equal(map[string]string{"abort": "other", "retry": "two@1"}))
		Expect(b.get().Status.Run.Number).To(Equal(int32(1)))
		Expect(b.leaves.made).To(HaveEach(1), "the next attempt is the same child")
	})

	It("cancels, and undoes when it is asked to", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["two"] = true })
		b.apply("operations:\n" + batch("one", 1, "") + batch("two", 1, fmt.Sprintf(after, "one")) + batch("three", 1, fmt.Sprintf(after, "two")))
		Eventually(b.servers).Should(HaveLen(2))
		b.ask("abort", "w")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowCancelled))
		Consistently(b.servers, "500ms").Should(HaveLen(2), "nothing is undone")
		b.ask("rollback", "now")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		Expect(b.servers()).To(BeEmpty())
	})

	It("names what an undo left over, its machine and its cost", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["two"], b.leaves.keeps["one"] = true, true })
		b.apply("operations:\n" + batch("one", 1, "") + batch("two", 1, fmt.Sprintf(after, "one")))
		Eventually(b.servers).Should(HaveLen(2))
		one := v1alpha1.Server{}
		Expect(b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "one", "0")}, &one)).To(Succeed())
		base := one.DeepCopy()
		one.Status.ID, one.Status.Cost = "i-1", &v1alpha1.ServerCost{Currency: "EUR", Hourly: "0.0119", Monthly: "8.69", Source: "a test"}
		Expect(b.Client.Status().Patch(context.Background(), &one, client.MergeFrom(base))).To(Succeed())
		b.ask("abort", "w")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowCancelled))
		b.ask("rollback", "now")
		Eventually(func() int { return len(b.servers()) }).Should(Equal(1))
		b.ask("abort", "w@2")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRollbackFailed))
		Expect(b.message()).To(ContainSubstring("what is left over costs 0.0119 EUR an hour"))
		left := b.get().Status.Leftovers
		Expect(left).To(HaveLen(1))
		Expect(left[0].ID).To(Equal("i-1"))
		Expect(left[0].CostPerHour).To(Equal("0.0119 EUR"))
	})

	It("forgets the story of a run that is long over, and its Runs with it", func() {
		b := newBench()
		b.apply("ttlAfterFinished: 1s\noperations:\n" + batch("one", 1, "") + "- {name: check, type: Check, check: {tcp: {address: '127.0.0.1:1'}}}\n")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		var runs v1alpha1.RunList
		Eventually(func() []v1alpha1.Run {
			Expect(b.Client.List(context.Background(), &runs, client.InNamespace(b.namespace))).To(Succeed())
			return runs.Items
		}).Should(BeEmpty())
		Expect(b.servers()).To(HaveLen(1))
		Expect(b.phase()).To(Equal(v1alpha1.WorkflowSucceeded))
	})

	DescribeTable("runs every example", func(file string, end v1alpha1.WorkflowPhase, fails ...string) {
		b := newBench()
		b.leaves.set(func() {
			for _, operation := range fails {
				b.leaves.fails[operation] = 99
			}
		})
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", "batchworkflow", file))
		Expect(err).NotTo(HaveOccurred())
		var w v1alpha1.BatchWorkflow
		for _, document := range strings.Split(string(text), "\n---\n") {
			if strings.Contains(document, "kind: BatchWorkflow\n") {
				Expect(yaml.UnmarshalStrict([]byte(document), &w)).To(Succeed())
			}
		}
		w.Namespace, w.Name = b.namespace, "w"
		Expect(b.Client.Create(context.Background(), &w)).To(Succeed())
		Eventually(b.approving).Should(Equal(end))
	},
		Entry("minimal", "minimal.yaml", v1alpha1.WorkflowSucceeded),
		Entry("approval", "approval.yaml", v1alpha1.WorkflowSucceeded),
		Entry("plan", "plan.yaml", v1alpha1.WorkflowSucceeded),
		Entry("power", "power.yaml", v1alpha1.WorkflowSucceeded),
		Entry("full", "full.yaml", v1alpha1.WorkflowSucceeded),
		Entry("survey", "survey.yaml", v1alpha1.WorkflowSucceeded),
		Entry("survey, a server that was listed fails", "survey.yaml", v1alpha1.WorkflowRolledBack, "fleet"),
		Entry("services, one a server", "services.yaml", v1alpha1.WorkflowSucceeded),
		Entry("orphan", "orphan.yaml", v1alpha1.WorkflowSucceeded),
		Entry("orphan, a check fails", "orphan.yaml", v1alpha1.WorkflowRolledBack, "answers"),
		Entry("undo, all well", "undo.yaml", v1alpha1.WorkflowSucceeded),
		Entry("undo, the last one fails", "undo.yaml", v1alpha1.WorkflowRolledBack, "smoke"),
		Entry("again", "again.yaml", v1alpha1.WorkflowSucceeded),
		Entry("pipeline", "pipeline.yaml", v1alpha1.WorkflowSucceeded),
		Entry("conditions, all well", "conditions.yaml", v1alpha1.WorkflowSucceeded),
		Entry("conditions, the first way fails", "conditions.yaml", v1alpha1.WorkflowSucceeded, "canary"),
		Entry("failure, all well", "failure.yaml", v1alpha1.WorkflowSucceeded),
		Entry("failure, what may fail", "failure.yaml", v1alpha1.WorkflowSucceeded, "cache"),
		Entry("failure, what must not", "failure.yaml", v1alpha1.WorkflowRolledBack, "database"))

	It("knows every example", func() {
		files, err := filepath.Glob("../../examples/batchworkflow/*.yaml")
		Expect(err).NotTo(HaveOccurred())
		Expect(files).To(HaveLen(13), "add the new one to the table above")
	})

	It("starts nothing new while suspended", func() {
		b := newBench()
		b.apply("suspend: true\noperations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSuspended))
		Consistently(b.servers, "500ms").Should(BeEmpty())
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.Suspend = false })
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
	})

	It("names the owner of a foreign object that has a child's name", func() {
		b := newBench()
		foreign := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "one", "0")},
			Spec: v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: "p"}}}}
		Expect(b.Client.Create(context.Background(), foreign)).To(Succeed())
		b.apply("onFailure: Rollback\noperations:\n" + batch("one", 2, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		Expect(b.message()).To(And(ContainSubstring("NameTaken"), ContainSubstring(foreign.Name)))
		Expect(b.servers()).To(HaveLen(1), "the foreign object is not touched")
		Expect(b.servers()[0].UID).To(Equal(foreign.UID))
	})

	It("makes a child again that vanished under a running operation", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.servers).Should(HaveLen(1))
		old := b.servers()[0]
		Expect(b.Client.Delete(context.Background(), &old)).To(Succeed())
		Eventually(func() bool { all := b.servers(); return len(all) == 1 && all[0].UID != old.UID }).Should(BeTrue())
	})

	It("tells of a child that vanished after its success, and makes nothing again", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 2, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		old := b.servers()[0]
		Expect(b.Client.Delete(context.Background(), &old)).To(Succeed())
		Eventually(b.message).Should(And(ContainSubstring("2 of 2 done"), ContainSubstring("ChildVanished: Server "+old.Name)))
		Expect(b.phase()).To(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.servers()).To(HaveLen(1))
		var events eventsv1.EventList
		Eventually(func() (told []string) {
			Expect(b.Client.List(context.Background(), &events, client.InNamespace(b.namespace))).To(Succeed())
			for _, e := range events.Items {
				if e.Reason == v1alpha1.ReasonChildVanished {
					told = append(told, e.Note)
				}
			}
			return told
		}).Should(ConsistOf(ContainSubstring(old.Name)))
	})

	It("gives outputs to later operations as data, never as text of a script", func() {
		b := newBench()
		b.apply("operations:\n" + batch("one", 2, "") + `
- {name: svc, type: TaskServiceBatch, dependsOn: [{operation: one}], taskServiceBatch: {recipes: [{name: etcd, parameters: {peers: "${operations.one.outputs.addresses}"}}], targets: {operation: one}}}
- {name: use, type: Command, dependsOn: [{operation: svc}], command: {script: 'echo "$E"', env: [{name: E, value: "${operations.svc.outputs.endpoints}"}], target: {operation: one, key: "0"}}}
`)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		var runs v1alpha1.RunList
		Expect(b.Client.List(context.Background(), &runs, client.InNamespace(b.namespace))).To(Succeed())
		Expect(runs.Items).To(HaveLen(1))
		Expect(runs.Items[0].Spec.Command.Script).To(Equal(`echo "$E"`))
		Expect(runs.Items[0].Spec.Command.Env[0].Value).To(Equal(`http://a"; rm -rf /`))
		var services v1alpha1.TaskServiceList
		Expect(b.Client.List(context.Background(), &services, client.InNamespace(b.namespace))).To(Succeed())
		Expect(string(services.Items[0].Spec.Parameters.Raw)).To(MatchJSON(`{"peers":"127.9.9.9,127.9.9.9"}`))
	})

	DescribeTable("is deleted with everything that it made", func(policy metav1.DeletionPropagation, left int) {
		b := newBench()
		w := b.apply("operations:\n" + batch("one", 3, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.Client.Delete(context.Background(), w, client.PropagationPolicy(policy))).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(b.Client.Get(context.Background(), client.ObjectKeyFromObject(w), w))
		}).Should(BeTrue())
		Eventually(b.servers).Should(HaveLen(left))
		for _, s := range b.servers() {
			Expect(s.DeletionTimestamp).To(BeNil())
		}
		Expect(apierrors.IsNotFound(b.Client.Get(context.Background(), client.ObjectKeyFromObject(w), &v1alpha1.Checkpoint{}))).To(BeTrue())
	},
		Entry("in the background", metav1.DeletePropagationBackground, 0),
		Entry("in the foreground", metav1.DeletePropagationForeground, 0),
		Entry("but not when its children are to be orphans", metav1.DeletePropagationOrphan, 3))
})
