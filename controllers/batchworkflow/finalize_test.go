package batchworkflow

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

// TestDeletionQuotesWhoHoldsIt: who waits for a deletion learns the cause that is nearest to its end.
func TestDeletionQuotesWhoHoldsIt(t *testing.T) {
	at := metav1.NewTime(time.Unix(1_800_000_000, 0))
	server := func(name string, reason fault.Reason, words string, stalled, going bool) *v1alpha1.Server {
		s := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 2}}
		if going {
			s.DeletionTimestamp = &at
		}
		reconcile.Set(s, v1alpha1.ReadyCondition, metav1.ConditionFalse, string(reason), words, at.Time)
		reconcile.Flag(s, v1alpha1.StalledCondition, stalled, string(reason), words, at.Time)
		return s
	}
	waits := server("a", fault.ReasonDeletionBlocked, "in use by TaskService etcd", false, true)
	refused := server("c", fault.ReasonUnauthorized, "403: not allowed to delete it", true, true)
	refusedToo := server("b", fault.ReasonUnauthenticated, "401: who are you", true, true)
	failed := server("d", fault.ReasonQuotaExceeded, "no more of them", true, false) // before it was asked to go
	for name, c := range map[string]struct {
		kids []*v1alpha1.Server
		want string
	}{
		"nobody says anything":         {[]*v1alpha1.Server{failed, server("e", fault.ReasonInProgress, "ending", false, true)}, ""},
		"one waits for others":         {[]*v1alpha1.Server{waits, failed}, "; a: in use by TaskService etcd"},
		"whoever is stuck comes first": {[]*v1alpha1.Server{waits, refused}, "; c: 403: not allowed to delete it"},
		"the first one by name":        {[]*v1alpha1.Server{refused, waits, refusedToo}, "; b: 401: who are you"},
	} {
		family := children.Family{Servers: map[string]*v1alpha1.Server{}}
		for _, s := range c.kids {
			family.Servers[s.Name] = s
		}
		if got := blocked(family); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
