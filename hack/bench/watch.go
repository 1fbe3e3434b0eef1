package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

var selfPid = os.Getpid()

// watcher notes when things were seen to happen in a namespace. It is as late as any client of the API server is.
type watcher struct {
	stops []func()

	mu        sync.Mutex
	woken     chan struct{} // closed at each change of a workflow's phase, and then made anew
	phase     map[string]v1alpha1.WorkflowPhase
	message   map[string]string
	counts    map[string]v1alpha1.WorkflowCounts
	first     map[string]time.Time // by workflow: when it was seen first, and when its end was
	last      map[string]time.Time
	made      map[string]time.Time // by operation: when its child was seen first, and when it was seen to be done
	done      map[string]time.Time
	whenReady int
	then      func()
	tellMade  func(time.Time)
}

// watch begins to watch.
func (r *rig) watch(ctx context.Context, namespace string) (*watcher, error) {
	w := &watcher{
		woken: make(chan struct{}), phase: map[string]v1alpha1.WorkflowPhase{}, message: map[string]string{}, first: map[string]time.Time{},
		counts: map[string]v1alpha1.WorkflowCounts{}, last: map[string]time.Time{}, made: map[string]time.Time{}, done: map[string]time.Time{},
	}
	for _, list := range []client.ObjectList{&v1alpha1.BatchWorkflowList{}, &v1alpha1.ServerList{}, &v1alpha1.RunList{}} {
		stream, err := r.client.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			w.stop()
			return nil, fmt.Errorf("watching: %w", err)
		}
		w.stops = append(w.stops, stream.Stop)
		go w.follow(stream)
	}
	return w, nil
}

func (w *watcher) stop() {
	for _, stop := range w.stops {
		stop()
	}
}

func (w *watcher) follow(stream watch.Interface) {
	for event := range stream.ResultChan() {
		at := time.Now()
		switch o := event.Object.(type) {
		case *v1alpha1.BatchWorkflow:
			if event.Type == watch.Deleted {
				w.forget(o.Name)
			} else {
				w.workflow(o, at)
			}
		case *v1alpha1.Server:
			w.child(o.Labels[v1alpha1.LabelOperation], o.Status.Conditions, at)
		case *v1alpha1.Run:
			w.child(o.Labels[v1alpha1.LabelOperation], o.Status.Conditions, at)
		}
	}
}

// forget is for a workflow that is gone: another one of its name starts afresh.
func (w *watcher) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.first, name)
	delete(w.last, name)
	delete(w.phase, name)
	delete(w.message, name)
	delete(w.counts, name)
}

func (w *watcher) workflow(o *v1alpha1.BatchWorkflow, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first[o.Name].IsZero() {
		w.first[o.Name] = at
	}
	if counts := o.Status.Counts; counts != nil {
		w.counts[o.Name] = *counts
	}
	for _, c := range o.Status.Conditions {
		if c.Type == v1alpha1.ReadyCondition {
			w.message[o.Name] = c.Message
		}
	}
	if o.Status.Phase != w.phase[o.Name] {
		w.phase[o.Name], w.last[o.Name] = o.Status.Phase, at
		close(w.woken)
		w.woken = make(chan struct{})
	}
}

func (w *watcher) child(operation string, conditions []metav1.Condition, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.made[operation].IsZero() {
		w.made[operation] = at
		if tell := w.tellMade; tell != nil {
			w.tellMade = nil
			tell(at)
		}
	}
	ready := slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Type == v1alpha1.ReadyCondition && c.Status == metav1.ConditionTrue
	})
	if !ready || !w.done[operation].IsZero() {
		return
	}
	w.done[operation] = at
	if do := w.then; do != nil && len(w.done) >= w.whenReady {
		w.then = nil
		go do()
	}
}

// when does something once so many children are ready.
func (w *watcher) when(ready int, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whenReady, w.then = ready, do
}

// nextMade tells when the next new child is seen.
func (w *watcher) nextMade(tell func(time.Time)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellMade = tell
}

// ended waits until all those workflows are in the phase, and complains when one ends otherwise.
func (w *watcher) ended(ctx context.Context, r *rig, names []string, want v1alpha1.WorkflowPhase) error {
	for {
		w.mu.Lock()
		woken, open := w.woken, 0
		for _, name := range names {
			switch phase := w.phase[name]; phase {
			case want:
			case v1alpha1.WorkflowSucceeded, v1alpha1.WorkflowFailed, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed:
				w.mu.Unlock()
				return fmt.Errorf("workflow %s ended as %s: %s", name, phase, w.message[name])
			default:
				open++
			}
		}
		w.mu.Unlock()
		if open == 0 {
			return nil
		}
		select {
		case <-woken:
		case <-r.operator.ended:
			if err := r.alive(); err != nil && ctx.Err() == nil {
				time.Sleep(time.Second) // one that was killed on purpose is replaced by now
				if err := r.alive(); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d workflows have not ended in time; %s says: %s", open, len(names), names[0], w.message[names[0]])
		}
	}
}

// whole complains unless as many instances have ended as the load says that it has: a number about fewer would be none.
func (w *watcher) whole(l load, names []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var open, succeeded, others int
	for _, name := range names {
		c := w.counts[name]
		open += int(c.Pending + c.Running)
		succeeded += int(c.Succeeded)
		others += int(c.Failed + c.FailedAllowed + c.Skipped + c.Cancelled + c.Omitted + c.Undone)
	}
	all := succeeded + others
	if l.ends == v1alpha1.WorkflowRolledBack { // what failed and was undone is counted as both
		all = min(all, l.instances)
	}
	if open > 0 || all != l.instances || l.ends == v1alpha1.WorkflowSucceeded && others > 0 {
		return fmt.Errorf("of %d instances %d succeeded, %d ended otherwise and %d have not ended", l.instances, succeeded, others, open)
	}
	return nil
}

// latencies are, for each operation with a child, how long after the end of the last one before it the child was seen.
func (w *watcher) latencies(workflows []*v1alpha1.BatchWorkflow) (all []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, workflow := range workflows {
		for _, op := range workflow.Spec.Operations {
			var free time.Time
			for _, before := range op.DependsOn {
				if at := w.done[before.Operation]; at.After(free) {
					free = at
				}
			}
			if made := w.made[op.Name]; !made.IsZero() && !free.IsZero() {
				all = append(all, max(0, made.Sub(free)))
			}
		}
	}
	slices.Sort(all)
	return all
}

// median is the median time from a workflow's first sight to its end.
func (w *watcher) median(wanted func(name string) bool) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []time.Duration
	for name, end := range w.last {
		if wanted(name) {
			all = append(all, end.Sub(w.first[name]))
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}
