package server

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

const (
	gatherIdle = 200 * time.Millisecond // a group is formed when nobody joined for so long …
	gatherMost = 3 * time.Second        // … and at the latest after this
	mostAtOnce = 500                    // machines of one call
	// patience is how long a launch waits for all its members to be recorded; then they form anew.
	patience = 20 * time.Second
	// spentLife is how long a launch is remembered that is over: its token is in the status of its members.
	spentLife = time.Hour
	// A call that failed is sent again after a pause that doubles from the first to the last.
	firstResend, lastResend = 200 * time.Millisecond, time.Minute
)

// member is one Server whose machine is to be made.
type member struct {
	key      plan.Key
	name     types.NamespacedName
	owner    provider.Owner
	previous string // the token of its launch before
}

// pool is whose creates can go out together.
type pool struct{ account, shape string }

// launch is one call for many, from the forming of its group until every member has its answer.
type launch struct {
	pool
	token    string
	members  []member
	formed   time.Time
	recorded map[plan.Key]bool
	calling  bool
	sent     bool                           // at least once, by this process or maybe by another
	made     map[plan.Key]provider.Instance // the answer; nil before
	err      error                          // that repeating the call cannot help against
	last     error                          // of a call that is sent again, with the same token: it may have made machines
	failures int                            // in a row
	next     time.Time                      // when it is sent again
}

// launcher lets Servers gather and go out together. All of it may be lost: what counts is in their status.
type launcher struct {
	mu       sync.Mutex
	now      func() time.Time
	wake     func(types.NamespacedName)
	gather   time.Duration // gatherIdle
	gathered map[pool]*gathering
	alone    map[plan.Key]bool
	launches map[plan.Key]*launch // by member
	spent    map[string]time.Time // launches that are over, or were never sent, by token
}

type gathering struct {
	members map[plan.Key]member
	since   time.Time
	timer   *time.Timer
}

func newLauncher(now func() time.Time, wake func(types.NamespacedName)) *launcher {
	return &launcher{now: now, wake: wake, gather: gatherIdle, gathered: map[pool]*gathering{}, alone: map[plan.Key]bool{}, launches: map[plan.Key]*launch{}, spent: map[string]time.Time{}}
}

// place is where a member stands.
type place struct {
	launch *launch // its launch; nil while it gathers
	index  int
	alone  bool // nobody else came: it goes out by itself
}

// join puts a member into its pool, or tells where it stands already. A launch that waited too long for its members dissolves.
func (l *launcher) join(p pool, m member) place {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alone[m.key] {
		delete(l.alone, m.key)
		return place{alone: true}
	}
	had := l.launches[m.key]
	answered := had != nil && (had.made != nil || had.err != nil)
	if answered && had.token != m.previous { // a look found what it made, which was replaced since: its answer is nobody's any more
		delete(l.launches, m.key)
		had = nil
	}
	if had != nil {
		late := !had.sent && l.now().Sub(had.formed) > patience
		switch {
		case answered || had.calling || had.pool == p && !late:
			return place{launch: had, index: had.index(m.key)}
		case had.sent: // something else is wanted since, and what became of that call is not known: a look has to tell
			delete(l.launches, m.key)
			return place{}
		}
		l.dissolve(had)
	}
	if m.previous != "" {
		l.over(m.previous)
	}
	g := l.gathered[p]
	if g == nil {
		g = &gathering{members: map[plan.Key]member{}, since: l.now()}
		l.gathered[p] = g
		g.timer = time.AfterFunc(l.gather, func() { l.form(p) })
	} else if l.now().Sub(g.since) < gatherMost {
		g.timer.Reset(l.gather)
	}
	g.members[m.key] = m
	return place{}
}

// form makes launches of all who have gathered, and wakes them: each records its place before anything is sent.
func (l *launcher) form(p pool) {
	l.mu.Lock()
	g := l.gathered[p]
	delete(l.gathered, p)
	var woken []types.NamespacedName
	if g != nil {
		woken = l.group(p, g)
	}
	l.mu.Unlock()
	for _, name := range woken {
		l.wake(name)
	}
}

func (l *launcher) group(p pool, g *gathering) (woken []types.NamespacedName) {
	pending := make([]plan.Pending, 0, len(g.members))
	for _, m := range g.members {
		pending = append(pending, plan.Pending{Key: m.key, Shape: p.shape, Previous: m.previous})
	}
	for _, group := range plan.Batch(pending, mostAtOnce) {
		formed := &launch{pool: p, token: group.Token, formed: l.now(), recorded: map[plan.Key]bool{}}
		for _, one := range group.Members {
			m := g.members[one.Key]
			woken = append(woken, m.name)
			formed.members = append(formed.members, m)
			if len(group.Members) == 1 {
				l.alone[m.key] = true
			} else {
				l.launches[m.key] = formed
			}
		}
	}
	return woken
}

// revive takes up a launch that another process formed, with all its members recorded: it is sent again with the same token.
func (l *launcher) revive(p pool, token string, members []member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, spent := l.spent[token]; spent {
		return
	}
	revived := &launch{pool: p, token: token, members: members, formed: l.now(), recorded: map[plan.Key]bool{}, sent: true}
	for _, m := range members {
		revived.recorded[m.key] = true
		if l.launches[m.key] == nil {
			l.launches[m.key] = revived
		}
	}
}

// ready notes that a member's place is durable, and reports whether the caller is the one who sends the call.
func (l *launcher) ready(of *launch, key plan.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.launches[key] != of {
		return false
	}
	of.recorded[key] = true
	if of.calling || of.made != nil || of.err != nil || len(of.recorded) < len(of.members) || l.now().Before(of.next) {
		return false
	}
	of.calling, of.sent = true, true
	return true
}

// answered keeps what the call brought and wakes the others. Whatever the error, the call may have made machines: it is sent again with
// the same token after a pause, unless that cannot help.
func (l *launcher) answered(of *launch, caller plan.Key, made []provider.Instance, err error) {
	l.mu.Lock()
	of.calling, of.last = false, nil
	switch {
	case fault.IsTerminal(err):
		of.err = err
	case err != nil:
		pause := min(firstResend<<min(of.failures, 16), lastResend)
		of.last, of.next = err, l.now().Add(max(pause, fault.AfterOf(err)))
		of.failures++
	default:
		of.made = make(map[plan.Key]provider.Instance, len(made))
		for _, i := range made {
			of.made[plan.Key(i.Key)] = i
		}
	}
	l.mu.Unlock()
	for _, m := range of.members {
		if m.key != caller {
			l.wake(m.name)
		}
	}
}

// outcome takes a member's answer out of its launch: its machine, or none where the cloud made fewer; or the error of the last call.
// ok is false while there is no answer.
func (l *launcher) outcome(of *launch, key plan.Key) (made provider.Instance, there bool, err error, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case of.made != nil:
		made, there = of.made[key]
		delete(l.launches, key)
		l.over(of.token)
		return made, there, nil, true
	case of.err != nil: // what became of it is looked at before another launch
		delete(l.launches, key)
		return made, false, of.err, true
	}
	return made, false, of.last, of.last != nil && l.now().Before(of.next)
}

// again has a member go out by itself when it comes next: what became of its last call is not known. To gather once more would change
// nothing but what people read, at every try.
func (l *launcher) again(key plan.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone[key] = true
}

// refused notes that a launch for one made nothing: it may gather with others next time.
func (l *launcher) refused(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token != "" {
		l.over(token)
	}
}

// leave takes a member out that no longer wants a machine. It reports whether a call for it may be under way.
func (l *launcher) leave(key plan.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.alone, key)
	for _, g := range l.gathered {
		delete(g.members, key)
	}
	of := l.launches[key]
	if of == nil {
		return false
	}
	if of.calling {
		return true
	}
	if of.made == nil {
		l.dissolve(of)
	}
	delete(l.launches, key)
	return false
}

// dissolve gives up a launch. Where it was never sent its members form anew at once, under another token; otherwise each has to make sure
// first that the call made nothing for it.
func (l *launcher) dissolve(of *launch) {
	for _, m := range of.members {
		if l.launches[m.key] == of {
			delete(l.launches, m.key)
		}
	}
	if !of.sent {
		l.over(of.token)
	}
}

func (l *launcher) over(token string) {
	now := l.now()
	for other, at := range l.spent {
		if now.Sub(at) > spentLife {
			delete(l.spent, other)
		}
	}
	l.spent[token] = now
}

// knows reports whether this process can tell what became of a launch: it is under way here, or over.
func (l *launcher) knows(key plan.Key, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, spent := l.spent[token]
	had := l.launches[key]
	return spent || had != nil && had.token == token
}

func (l *launch) index(key plan.Key) int {
	for i, m := range l.members {
		if m.key == key {
			return i
		}
	}
	return 0
}
