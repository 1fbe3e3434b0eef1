package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
)

// stage is one or more Servers at an account of their own, and the operator's processes that work on them one after another. Time is
// the cloud's clock: it stands still while anything is done, and then leaps to when something is due.
type stage struct {
	*ground
	v     *vendor
	w     *world
	k     *killer
	r     *Reconciler
	door  provider.Provider
	queue *woken
	stop  context.CancelFunc
	ctx   context.Context

	names    []string
	now      map[string]*v1alpha1.Server // as the API server has them, nil: gone
	due      map[string]time.Time
	failures map[string]int      // in a row, as the queue counts them
	ids      map[string][]string // that each ever named in its status
	listAt   time.Time           // when the inventory looks next
	kills    int
	raised   int            // attempts
	told     []faults.Call  // by the story to the cloud
	ordered  []faults.Order // that may strike now
	struck   int            // of those that were ordered before
	ended    int            // machines that were lost to another hand then
	problems []string
}

// woken is a controller's queue as far as a Reconciler uses it.
type woken struct {
	workqueue.TypedRateLimitingInterface[ctrl.Request]
	add func(name string)
}

func (w *woken) Add(r ctrl.Request) { w.add(r.Name) }

const (
	crashListing = 2 * time.Second // between two Lists
	crashLongest = 2 * time.Hour   // by the cloud's clock, for one step of a story
)

func newStage(g *ground, v *vendor, k *killer, prefix string, servers int) (*stage, error) {
	s := &stage{ground: g, v: v, w: v.new(), k: k, now: map[string]*v1alpha1.Server{}, due: map[string]time.Time{}, failures: map[string]int{}, ids: map[string][]string{}}
	for i := range servers {
		s.names = append(s.names, fmt.Sprintf("%s-%d", prefix, i))
	}
	return s, s.boot()
}

func (s *stage) close() {
	s.stop()
	s.w.close()
}

func (s *stage) wrong(format string, args ...any) {
	if len(s.problems) < 8 {
		s.problems = append(s.problems, fmt.Sprintf(format, args...))
	}
}

// clock never shows the same time twice, as ours does not.
func (s *stage) clock() time.Time {
	s.w.Clock.Move(time.Microsecond)
	return s.w.Clock.Now()
}

// boot is a new process: nothing is remembered, the cloud is opened anew, and all Servers are looked at.
func (s *stage) boot() error {
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.k.die = s.stop
	account, err := s.w.open(s.k)
	if err != nil {
		return err
	}
	api, err := s.client(s.k)
	if err != nil {
		return err
	}
	s.door = provider.Guarded(account, 5*time.Second)
	open := openerFunc(func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return s.door, provider.Account{ID: testAccount}, nil
	})
	kit := reconcile.Kit{Client: cached{api, s.cache, s.now}, Live: api, Events: &events.FakeRecorder{}, Owner: "keelway", Now: s.clock}
	s.r = New(kit, open, Options{Installation: "test", Settle: 10 * time.Second})
	s.r.Turnstile.SetLimit(testAccount, "uid", 20)
	s.r.launcher.gather = time.Hour // who has gathered goes out when the stage says so
	s.queue = &woken{add: func(name string) { s.due[name] = time.Time{} }}
	s.listAt = time.Time{}
	for _, name := range s.names {
		s.due[name], s.failures[name] = time.Time{}, 0
		s.observe(name)
	}
	return s.r.begin(s.ctx, s.queue)
}

// walk looks at each Server that is due, in a new process when the old one dies of it.
func (s *stage) walk() (looked bool) {
	for _, name := range s.names {
		if s.due[name].After(s.w.Clock.Now()) {
			continue
		}
		looked = true
		s.due[name] = s.w.Clock.Now().Add(10 * time.Minute) // as controllers look at everything now and then
		result, err := s.r.Reconcile(s.ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.ns, Name: name}})
		switch {
		case s.k.gone():
			s.die()
		case err != nil:
			s.due[name] = s.w.Clock.Now().Add(min(500*time.Millisecond<<min(s.failures[name], 10), 5*time.Minute))
			s.failures[name]++
		default:
			s.failures[name] = 0
			if result.RequeueAfter > 0 && s.due[name].After(s.w.Clock.Now().Add(result.RequeueAfter)) {
				s.due[name] = s.w.Clock.Now().Add(result.RequeueAfter)
			}
		}
		if s.k.wrote() {
			s.observe(name)
		}
	}
	return looked
}

// die lets a new process take over, which lives.
func (s *stage) die() {
	s.kills++
	s.stop()
	s.k = &killer{calls: s.k.calls}
	if err := s.boot(); err != nil {
		s.wrong("a new process: %v", err)
	}
}

// observe reads a Server as people do, and holds what must be true of it at any time.
func (s *stage) observe(name string) {
	was, now := s.now[name], &v1alpha1.Server{}
	err := s.Client.Get(context.Background(), client.ObjectKey{Namespace: s.ns, Name: name}, now)
	switch {
	case apierrors.IsNotFound(err):
		s.now[name] = nil
		return
	case err != nil:
		s.wrong("reading Server %s: %v", name, err)
		return
	}
	s.now[name] = now
	for _, problem := range reconcile.Check(now) {
		s.wrong("%s: %s", name, problem)
	}
	id := now.Status.ID
	if id == "" || slices.Contains(s.ids[name], id) && was != nil && was.Status.ID == id {
		return
	}
	if slices.Contains(s.ids[name], id) {
		s.wrong("%s has machine %s once more, after %v", name, id, s.ids[name])
	}
	s.ids[name] = append(s.ids[name], id)
}

// until lets the operator work until all Servers are as wanted (nil: gone). Somebody who is stopped for good is tried again, as a person
// would, where the fault is one that stops. It reports false where a machine was lost to another hand and nothing is left to do, and
// where something is wrong.
func (s *stage) until(what string, is func(*v1alpha1.Server) bool) bool {
	for end := s.w.Clock.Now().Add(crashLongest); s.w.Clock.Now().Before(end); s.pass() {
		s.walk()
		missing := slices.IndexFunc(s.names, func(name string) bool { return !is(s.now[name]) })
		switch {
		case missing < 0:
			return true
		case len(s.problems) > 0:
			return false
		case !stuck(s.now[s.names[missing]]):
		case s.lost() > 0 && !leaving(s.now[s.names[missing]]): // there is nothing to go on with
			return false
		case s.raised == 0 && s.strikes(final) == 0:
			s.wrong("%s is stopped for good, and nothing is amiss: %s", s.names[missing], told(s.now[s.names[missing]]))
			return false
		case !s.raise(s.names[missing]):
			return false
		}
	}
	for _, name := range s.names {
		if !is(s.now[name]) {
			s.wrong("%s is never %s: %s", name, what, told(s.now[name]))
		}
	}
	return false
}

// pass lets time go on to when something is due, and the account be listed.
func (s *stage) pass() {
	for _, p := range gatheredPools(s.r.launcher) {
		s.r.launcher.form(p)
	}
	next := s.w.Clock.Now().Add(crashListing)
	for _, name := range s.names {
		if s.due[name].Before(next) {
			next = s.due[name]
		}
	}
	if step := next.Sub(s.w.Clock.Now()); step > 0 {
		s.w.Clock.Move(step)
	}
	if now := s.w.Clock.Now(); !now.Before(s.listAt) {
		s.listAt = now.Add(crashListing)
		_, _ = s.r.Inventory.Refresh(s.ctx, testAccount, s.door, now)
	}
	if s.k.gone() {
		s.die()
	}
}

func gatheredPools(l *launcher) (pools []pool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.gathered {
		pools = append(pools, p)
	}
	return pools
}

func stuck(s *v1alpha1.Server) bool {
	return s != nil && reconcile.Condition(s, v1alpha1.StalledCondition) != nil
}

// raise asks for another attempt, as a person does: nothing is asked of the cloud before.
func (s *stage) raise(name string) bool {
	if len(s.names) == 1 {
		before := s.changes()
		for range 15 {
			s.pass()
			s.walk()
		}
		if !stuck(s.now[name]) {
			return true // it went on by itself, as deletions do
		}
		if after := s.changes(); after != before && !leaving(s.now[name]) && s.kills == 0 { // a new process tries once
			s.wrong("%s is stopped for good, and %d calls to change something follow: %s", name, after-before, told(s.now[name]))
		}
	}
	if s.raised++; s.raised > 12 {
		s.wrong("%s is stopped for good, and trying again does not help: %s", name, told(s.now[name]))
		return false
	}
	s.patch(name, func(o *v1alpha1.Server) {
		o.Annotations = map[string]string{v1alpha1.AnnotationAttempt: strconv.Itoa(s.raised)}
	})
	return true
}

// changes counts the calls that were to change something at the cloud.
func (s *stage) changes() (n int) {
	for _, call := range s.w.Log.Report(0).Calls {
		if call.Mutating {
			n++
		}
	}
	return n
}

// patch changes a Server as people do.
func (s *stage) patch(name string, change func(*v1alpha1.Server)) {
	now := &v1alpha1.Server{}
	err := s.Client.Get(context.Background(), client.ObjectKey{Namespace: s.ns, Name: name}, now)
	if err == nil {
		was := now.DeepCopy()
		change(now)
		err = s.Client.Patch(context.Background(), now, client.MergeFrom(was))
	}
	if err != nil {
		s.wrong("changing Server %s: %v", name, err)
	}
	s.due[name] = time.Time{}
	s.observe(name)
}

func (s *stage) edit(change func(*v1alpha1.ServerSpec)) {
	for _, name := range s.names {
		s.patch(name, func(o *v1alpha1.Server) { change(&o.Spec) })
	}
}

// apply makes the Servers as a person does.
func (s *stage) apply(adopt ...string) {
	for i, name := range s.names {
		o := newServer(name)
		o.ObjectMeta = metav1.ObjectMeta{Namespace: s.ns, Name: name}
		o.Spec.ProviderRef.Name = strings.ToLower(s.v.name)
		o.Spec.Size, o.Spec.Image = s.w.size, s.w.image
		o.Spec.Disks = []v1alpha1.NamedDisk{{Name: "data", Disk: v1alpha1.Disk{SizeGiB: 10}}}
		if len(adopt) > 0 {
			o.Spec.Adopt = &v1alpha1.Adoption{ID: adopt[i]}
		}
		if err := s.Client.Create(context.Background(), o); err != nil {
			s.wrong("making Server %s: %v", name, err)
		}
		s.due[name] = time.Time{}
		s.observe(name)
	}
}

func (s *stage) remove() {
	for _, name := range s.names {
		o := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}
		if err := s.Client.Delete(context.Background(), o); client.IgnoreNotFound(err) != nil {
			s.wrong("deleting Server %s: %v", name, err)
		}
		s.due[name] = time.Time{}
		s.observe(name)
	}
}
