package server

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// condition is one story at one cloud under one fault.
type condition struct {
	v     *vendor
	tale  *story
	fault string // "": none
}

func (c condition) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s, %s, %s", c.v.name, c.tale.title, c.fault), ", ")
}

// play tells the story through that killer. What is ordered strikes from its beginning to its end.
func (c condition) play(g *ground, k *killer, prefix string, orders []faults.Order) *stage {
	s, err := newStage(g, c.v, k, prefix, c.tale.servers)
	defer s.close()
	if err != nil {
		s.wrong("it does not begin: %v", err)
		return s
	}
	if !c.tale.before(s) {
		s.wrong("it does not begin")
		return s
	}
	begun := s.w.Log.Report(0).Requests
	s.arm(orders)
	k.count(true)
	c.tale.tell(s)
	s.k.count(false)
	s.told = s.w.Log.Report(begun).Calls
	s.disarm()
	if len(s.problems) == 0 {
		s.end(c.tale.machines)
	}
	return s
}

// crashes runs points, several at once: each waits for the API server most of the time.
type crashes struct {
	*testing.T
	g     *ground
	long  bool
	only  string // conditions whose names begin so
	seed  uint64
	slots chan struct{}
	all   sync.WaitGroup

	mu     sync.Mutex
	plays  int
	failed map[condition]int
	points map[condition]int
	there  int // points that these conditions have
	unmet  int // runs that ended before the call at which they were to be killed: how often the API server is asked is not the same twice
}

const (
	crashesAtOnce = 8
	crashSpread   = 3   // points of a condition, in the short form
	crashReports  = 2   // failed points of a condition that are told in full
	crashCalls    = 100 // changes of a story in which nobody is killed: who makes more repeats himself
)

func (c *crashes) soon(do func()) {
	c.all.Go(func() {
		c.slots <- struct{}{}
		defer func() { <-c.slots }()
		do()
	})
}

func (c *crashes) play(of condition, k *killer, orders []faults.Order, what string) *stage {
	c.mu.Lock()
	if c.plays++; c.plays%500 == 0 {
		c.Logf("%d runs so far", c.plays)
	}
	prefix := fmt.Sprintf("p%d", c.plays)
	c.mu.Unlock()
	s := of.play(c.g, k, prefix, orders)
	if k.at > 0 && s.kills == 0 {
		c.mu.Lock()
		c.unmet++
		c.mu.Unlock()
	}
	if len(s.problems) == 0 {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed[of]++; c.failed[of] > crashReports {
		c.Fail()
	} else {
		c.Errorf("%s, %s:\n  %s\n  calls: %s", of, what, strings.Join(s.problems, "\n  "), strings.Join(s.k.calls, ", "))
	}
	return s
}

// run takes the condition's calls from a run in which nobody dies, and then lets the process die at each.
func (c *crashes) run(of condition, orders []faults.Order) (told []faults.Call) {
	k := &killer{}
	clean := c.play(of, k, orders, "nobody killed")
	if of.fault != "" && clean.struck == 0 {
		return clean.told // it had no occasion
	}
	if !strings.HasPrefix(of.String(), c.only) {
		return clean.told
	}
	if len(k.calls) > crashCalls {
		c.Errorf("%s: %d changes, want at most %d: %s", of, len(k.calls), crashCalls, strings.Join(k.calls[:crashCalls], ", "))
		return clean.told
	}
	for _, at := range c.chosen(of, len(moments)*len(k.calls)) {
		c.soon(func() {
			call, when := at/len(moments), moment(at%len(moments))
			c.play(of, &killer{at: call + 1, when: when}, orders, fmt.Sprintf("killed %s call %d, %s", moments[when], call+1, k.calls[call]))
			c.mu.Lock()
			defer c.mu.Unlock()
			c.points[of]++
		})
	}
	return clean.told
}

// dice are a condition's own, so that it does not matter which comes first.
func (c *crashes) dice(of condition) *rand.Rand {
	sum := fnv.New64()
	_, _ = sum.Write([]byte(of.String()))
	return rand.New(rand.NewPCG(c.seed, sum.Sum64()))
}

// chosen are the points of a condition that has so many.
func (c *crashes) chosen(of condition, n int) []int {
	c.mu.Lock()
	c.there += n
	c.mu.Unlock()
	all := c.dice(of).Perm(n)
	if !c.long {
		all = all[:min(n, crashSpread)]
	}
	return all
}

// some are the faults that can strike in a story of these calls; in the short form one of them.
func (c *crashes) some(v *vendor, tale *story, told []faults.Call) []struck {
	able := slices.DeleteFunc(slices.Clone(v.faults), func(f struck) bool {
		return len(f.orders(v.kinds, told)) == 0 || !strings.HasPrefix(condition{v, tale, f.name}.String(), c.only)
	})
	if c.long || len(able) == 0 {
		return able
	}
	at := c.dice(condition{v, tale, ""}).IntN(len(able))
	return able[at : at+1]
}

// table tells how many points there were.
func (c *crashes) table() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	total := 0
	for _, v := range vendors {
		fmt.Fprintf(w, "%s\t", v.name)
		for _, tale := range v.stories() {
			fmt.Fprintf(w, "%s\t", tale.title)
		}
		fmt.Fprintln(w)
		for _, f := range append([]struck{{}}, v.faults...) {
			name := f.name
			if name == "" {
				name = "no fault"
			}
			fmt.Fprintf(w, "%s\t", name)
			for _, tale := range v.stories() {
				n := c.points[condition{v, tale, f.name}]
				total += n
				fmt.Fprintf(w, "%s\t", strings.TrimPrefix(strconv.Itoa(n), "0"))
			}
			fmt.Fprintln(w)
		}
		_ = w.Flush() // the stories of the next are others
	}
	return fmt.Sprintf("%skilled at %d points of the %d that these conditions have", text.String(), total, c.there)
}

// TestCrashSuite kills the operator's process before, after the commit and after the reply of each call by which a Server's story changes
// something at the API server, which is a real one, or at its cloud: alone, and under each fault of the cloud that strikes in the
// story. The end is always that of the run in which nobody is killed. With KEELWAY_LONG=1 it takes every point, otherwise a spread of
// them by chance, under one fault a story (KEELWAY_SEED=n repeats them). KEELWAY_ONLY="AWS, create" takes those whose names begin so.
func TestCrashSuite(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("KEELWAY_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("KEELWAY_SEED: %v", err)
		}
	}
	t.Logf("KEELWAY_SEED=%d", seed)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // it makes much that lives for a moment
	c := &crashes{T: t, g: newGround(t), long: os.Getenv("KEELWAY_LONG") == "1", only: os.Getenv("KEELWAY_ONLY"), seed: seed,
		slots: make(chan struct{}, crashesAtOnce), failed: map[condition]int{}, points: map[condition]int{}}
	for _, v := range vendors {
		for _, tale := range v.stories() {
			if name := (condition{v, tale, ""}).String(); !strings.HasPrefix(name, c.only) && !strings.HasPrefix(c.only, name) {
				continue
			}
			c.soon(func() {
				told := c.run(condition{v, tale, ""}, nil)
				for _, f := range c.some(v, tale, told) {
					c.soon(func() { c.run(condition{v, tale, f.name}, f.orders(v.kinds, told)) })
				}
			})
		}
	}
	c.all.Wait()
	for of, n := range c.failed {
		t.Logf("%d failed: %s", n, of)
	}
	t.Logf("%d runs, %d of which ended before they were killed\n%s", c.plays, c.unmet, c.table())
	if c.unmet > c.plays/10 {
		t.Errorf("%d of %d runs ended before they were killed: the suite shows too little", c.unmet, c.plays)
	}
}
