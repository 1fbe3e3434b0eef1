package batchworkflow

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/keelway/keelway/api/v1alpha1"
)

var _ = Describe("a remembered ledger", func() {
	It("TestDeedsFollowTheNewestLedger: an operator that was frozen makes nothing of what its successor has undone", func() {
		b := newBench()
		stale := b.second()
		b.leaves.set(func() { b.leaves.fails["one"] = 99; b.leaves.holds["one"] = true })
		w := b.apply("onFailure: Rollback\noperations:\n" + batch("one", 2, ""))
		Eventually(b.servers).Should(HaveLen(2))
		_, err := stale.Reconcile(context.Background(), b.request())
		Expect(err).NotTo(HaveOccurred())
		frozen := *stale.shelf.take(w.UID)
		Expect(frozen.ledger).NotTo(BeNil())

		b.leaves.set(func() { b.leaves.holds["one"] = false })
		for _, s := range b.servers() {
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		b.running.Stop() // nobody is there who would take away what it makes

		*stale.shelf.take(w.UID) = frozen
		_, err = stale.Reconcile(context.Background(), b.request())
		Expect(err).NotTo(HaveOccurred())
		Expect(stale.shelf.take(w.UID).ledger).To(BeNil(), "it reads anew instead of acting on what it remembers")
		Expect(b.servers()).To(BeEmpty())
	})
})
