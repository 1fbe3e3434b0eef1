package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// patience is how long one load may take at most.
const patience = 15 * time.Minute

// figures are what one run of one load gave.
type figures struct {
	wall, floor   time.Duration
	traffic       traffic
	operator, api time.Duration // of processors
	peak          float64       // MiB
	starts        []time.Duration
	foreign       float64 // processors that others kept busy meanwhile
	extra         map[string]extra
}

type extra struct {
	value float64
	unit  string
}

// measurement is one run of one load, while it goes on.
type measurement struct {
	ctx       context.Context
	rig       *rig
	load      load
	namespace string
	figures   figures

	mu    sync.Mutex
	watch *watcher
	late  []func()
	errs  []error
}

// measure runs the floor and then the load, each in a namespace of its own, which is gone again before it returns.
func (b *book) measure(ctx context.Context, r *rig, l load) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := &measurement{ctx: ctx, rig: r, load: l, figures: figures{extra: map[string]extra{}}}
	err := m.within(func() (err error) {
		r.operator.kill() // it would work on what the floor makes
		m.figures.floor, err = l.floor.play(ctx, r.client, in(m.namespace, l.workflows(m.namespace)))
		return err
	})
	if err == nil {
		r.operator, err = r.startOperator(append(r.told(), l.arguments...)...)
	}
	if err == nil {
		err = m.within(m.play)
	}
	if err == nil {
		b.add(l, m.figures)
	}
	return err
}

// warm makes the writes of a large floor once, unmeasured: an API server's first thousand cost more than those that follow.
func (r *rig) warm(ctx context.Context) error {
	l := inline("warm", layers(1000), 0)
	r.operator.kill()
	m := &measurement{ctx: ctx, rig: r, load: l}
	err := m.within(func() error {
		_, err := l.floor.play(ctx, r.client, in(m.namespace, l.workflows(m.namespace)))
		return err
	})
	if err == nil {
		r.operator, err = r.startOperator()
	}
	return err
}

// within makes a namespace, does something in it, and empties it.
func (m *measurement) within(do func() error) (err error) {
	if m.namespace, err = m.rig.namespace(m.ctx); err != nil {
		return err
	}
	return errors.Join(do(), m.rig.clear(m.namespace))
}

// cleared are the kinds that a measurement may leave, owners first. What floors made has nobody to finalize it, and needs none.
var cleared = []struct {
	one  client.Object
	list client.ObjectList
}{
	{&v1alpha1.BatchWorkflow{}, &v1alpha1.BatchWorkflowList{}}, {&v1alpha1.Checkpoint{}, &v1alpha1.CheckpointList{}},
	{&v1alpha1.Run{}, &v1alpha1.RunList{}}, {&v1alpha1.Server{}, &v1alpha1.ServerList{}}, {&v1alpha1.Provider{}, &v1alpha1.ProviderList{}},
}

// clear deletes what is in a namespace and waits until it is gone. The namespace itself stays: a cluster takes seconds to end an empty
// one, which would be most of a round, and asks for every resource that there is meanwhile.
func (r *rig) clear(namespace string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, kind := range cleared {
		err := r.client.DeleteAllOf(ctx, kind.one, client.InNamespace(namespace))
		for apierrors.IsTimeout(err) { // a thousand may take longer than the API server gives one request
			err = r.client.DeleteAllOf(ctx, kind.one, client.InNamespace(namespace))
		}
		if err != nil {
			return fmt.Errorf("clearing up: %w", err)
		}
		for left := true; left; {
			if err := r.client.List(ctx, kind.list, client.InNamespace(namespace), client.Limit(1)); err != nil {
				return fmt.Errorf("clearing up: %w", err)
			}
			if left = meta.LenList(kind.list) > 0; left {
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	return nil
}

func in(namespace string, all []*v1alpha1.BatchWorkflow) []*v1alpha1.BatchWorkflow {
	for _, w := range all {
		w.Namespace = namespace
	}
	return all
}

// play applies the workflows and waits for their end.
func (m *measurement) play() (err error) {
	if m.load.prepared != nil {
		if err := m.load.prepared(m.rig, m.namespace); err != nil {
			return err
		}
	}
	if err := m.warm(); err != nil {
		return err
	}
	if m.watch, err = m.rig.watch(m.ctx, m.namespace); err != nil {
		return err
	}
	defer m.watch.stop()
	if m.load.around != nil {
		m.load.around(m)
	}
	workflows := in(m.namespace, m.load.workflows(m.namespace))
	forgetPeak(m.rig.operator.pid())
	before, err := m.rig.traffic(m.ctx)
	if err != nil {
		return err
	}
	wait := m.profile()
	clock := m.rig.startClock()
	if err := each(len(workflows), func(i int) error { return m.rig.client.Create(m.ctx, workflows[i]) }); err != nil {
		return fmt.Errorf("applying: %w", err)
	}
	if err := m.watch.ended(m.ctx, m.rig, names(workflows), m.load.ends); err != nil {
		return err
	}
	clock.stop(&m.figures)
	defer wait()
	if err := m.watch.whole(m.load, names(workflows)); err != nil {
		return err
	}
	m.figures.peak = statusMiB(m.rig.operator.pid(), "VmHWM")
	after, err := m.rig.traffic(m.ctx)
	m.figures.traffic = after.minus(before)
	m.figures.starts = m.watch.latencies(workflows)
	for _, f := range m.late {
		f()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(append(m.errs, err)...)
}

// warm runs a small workflow first, so that the operator's caches are there, and waits until the Provider is ready.
func (m *measurement) warm() error {
	w := one(waits(chain(2), 0))
	w[0].Name = "warm"
	_, err := m.run(w)
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	p := &v1alpha1.Provider{}
	for m.load.floor.children > 0 {
		err := m.rig.client.Get(m.ctx, client.ObjectKey{Namespace: m.namespace, Name: providerName}, p)
		if apierrors.IsNotFound(err) { // checks need none
			return nil
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p.Status.Conditions, func(c metav1.Condition) bool {
			return c.Type == v1alpha1.ReadyCondition && c.Status == metav1.ConditionTrue
		}) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// run applies workflows and waits until they have succeeded.
func (m *measurement) run(workflows []*v1alpha1.BatchWorkflow) (*watcher, error) {
	watch, err := m.rig.watch(m.ctx, m.namespace)
	if err != nil {
		return nil, err
	}
	defer watch.stop()
	if err := each(len(workflows), func(i int) error { return m.rig.client.Create(m.ctx, in(m.namespace, workflows)[i]) }); err != nil {
		return nil, err
	}
	return watch, watch.ended(m.ctx, m.rig, names(workflows), v1alpha1.WorkflowSucceeded)
}

// alone is the median time of workflows that have the operator to themselves. They are gone when it returns.
func (m *measurement) alone(workflows []*v1alpha1.BatchWorkflow) time.Duration {
	watch, err := m.run(workflows)
	if err != nil {
		m.fail(err)
		return 0
	}
	median := watch.median(func(string) bool { return true })
	for _, w := range workflows {
		m.fail(m.rig.client.Delete(m.ctx, w))
	}
	for _, w := range workflows {
		for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
			err = m.rig.client.Get(m.ctx, client.ObjectKeyFromObject(w), &v1alpha1.BatchWorkflow{})
		}
	}
	return median
}

func (m *measurement) medianOf(prefix string) time.Duration {
	return m.watch.median(func(name string) bool { return strings.HasPrefix(name, prefix) })
}

func (m *measurement) when(ready int, do func()) { m.watch.when(ready, do) }

func (m *measurement) nextMade(tell func(time.Time)) { m.watch.nextMade(tell) }

func (m *measurement) atEnd(do func()) { m.late = append(m.late, do) }

func (m *measurement) extra(name string, value float64, unit string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures.extra[name] = extra{value, unit}
}

func (m *measurement) fail(err error) {
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.errs = append(m.errs, err)
	}
}

func names(workflows []*v1alpha1.BatchWorkflow) (out []string) {
	for _, w := range workflows {
		out = append(out, w.Name)
	}
	return out
}

// clock reads the time of a wall and of processors.
type clock struct {
	rig                 *rig
	began               time.Time
	operator            *operator
	ofOperator, api, us time.Duration
	all                 time.Duration
}

func (r *rig) startClock() clock {
	c := clock{rig: r, operator: r.operator}
	c.ofOperator, c.api, c.us, c.all = r.processors()
	c.began = time.Now()
	return c
}

// stop adds up. When the operator was started anew meanwhile, its former life's time is lost: it is counted as somebody else's.
func (c clock) stop(f *figures) {
	f.wall = time.Since(c.began)
	operator, api, us, all := c.rig.processors()
	if c.rig.operator == c.operator {
		operator -= c.ofOperator
	}
	f.operator, f.api = operator, api-c.api
	others := (all - c.all) - f.operator - f.api - (us - c.us)
	f.foreign = max(0, others.Seconds()/f.wall.Seconds())
}

// processors is the time used so far by the operator, by the control plane, by ourselves and by all processes.
func (r *rig) processors() (operator, api, us, all time.Duration) {
	for _, pid := range r.plane.Pids() {
		api += processorTime(pid)
	}
	return processorTime(r.operator.pid()), api, processorTime(selfPid), machineTime()
}
