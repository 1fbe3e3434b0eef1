package cli

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/view"
)

// Times of following a workflow.
const (
	pulse     = 2 * time.Second        // between two looks when nothing is heard: children change without their workflow
	gather    = 150 * time.Millisecond // what happens at once is looked at once
	longPause = 15 * time.Second       // at most, between two tries to reach a cluster that does not answer
)

// sight is what following sees: a snapshot, or that the cluster does not answer.
type sight struct {
	snapshot *view.Snapshot
	lost     error
}

// follow looks at a workflow whenever it changes, and every two seconds, until tell returns false or something is definite: the
// context's end, or an error that another try would not mend. A cluster that does not answer is asked again for as long as it takes.
func (c *cluster) follow(ctx context.Context, name string, tell func(sight) bool) error {
	events := c.listen(ctx, name)
	pause := time.Second
	for {
		snapshot, err := c.look(ctx, name)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && definite(err):
			return err
		case err != nil:
			if !tell(sight{lost: err}) {
				return nil
			}
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
			pause = min(pause*2, longPause)
			continue
		}
		pause = time.Second
		if !tell(sight{snapshot: snapshot}) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-events:
			if !sleep(ctx, gather) {
				return ctx.Err()
			}
		case <-time.After(pulse):
		}
	}
}

// definite reports whether an error does not pass by itself: somebody has to change something.
func definite(err error) bool {
	known := explainCluster(err)
	return known != nil && !known.passing
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// listen rings whenever the workflow changes. A watch that breaks is begun again; while there is none, the pulse is enough.
func (c *cluster) listen(ctx context.Context, name string) <-chan struct{} {
	bell := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			w, err := c.Watch(ctx, &v1alpha1.BatchWorkflowList{}, client.InNamespace(c.namespace), &client.ListOptions{
				FieldSelector: fields.OneTermEqualSelector("metadata.name", name), Raw: &metav1.ListOptions{TimeoutSeconds: new(int64(300))}})
			if err == nil {
				ring(ctx, w, bell)
			}
			sleep(ctx, pulse)
		}
	}()
	return bell
}

func ring(ctx context.Context, w watch.Interface, bell chan<- struct{}) {
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-w.ResultChan():
			if !open {
				return
			}
			select {
			case bell <- struct{}{}:
			default: // it rang and nobody has looked yet
			}
		}
	}
}

// verdict is how an object that was followed has ended.
type verdict int

const (
	underWay verdict = iota
	well
	badly
)

// judge reads any of our objects as kstatus does: over when it is Ready, or Stalled, for the spec that it has.
func judge(o v1alpha1.Object) verdict {
	ready := meta.FindStatusCondition(o.GetConditions(), v1alpha1.ReadyCondition)
	stalled := meta.FindStatusCondition(o.GetConditions(), v1alpha1.StalledCondition)
	switch {
	case ready == nil || o.GetObservedGeneration() != o.GetGeneration() || !o.GetDeletionTimestamp().IsZero():
		return underWay
	case ready.Status == metav1.ConditionTrue:
		return well
	case stalled != nil && stalled.Status == metav1.ConditionTrue:
		return badly
	}
	return underWay
}

// words are what an object says of itself, without the reason.
func words(o v1alpha1.Object) string {
	if ready := meta.FindStatusCondition(o.GetConditions(), v1alpha1.ReadyCondition); ready != nil {
		return ready.Message
	}
	return ""
}

// message is what an object says of itself.
func message(o v1alpha1.Object) string {
	if ready := meta.FindStatusCondition(o.GetConditions(), v1alpha1.ReadyCondition); ready != nil && ready.Message != "" {
		return ready.Reason + ": " + ready.Message
	}
	return "nothing is known yet"
}
