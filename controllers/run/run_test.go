package run_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/controllers/run"
	"github.com/keelway/keelway/internal/reconcile"
)

func TestCommand(t *testing.T) {
	r := newRig(t, "a")
	for name, c := range map[string]struct {
		script string
		change func(*v1alpha1.Run)
		phase  v1alpha1.RunPhase
		says   string
		exit   int32
	}{
		"good": {`echo "answer=$QUESTION" >>"$KEELWAY_RUN/outputs"; echo all is well`, func(o *v1alpha1.Run) {
			o.Spec.Command.Env = []v1alpha1.EnvVar{{Name: "QUESTION", Value: "$(reboot) 'x'"}}
			o.Spec.Expect.OutputContains = "is well"
		}, v1alpha1.RunSucceeded, "Succeeded: ", 0},
		"bad":       {"echo first; echo the disk is full >&2; exit 7", nil, v1alpha1.RunFailed, "ScriptFailed: the script ended with code 7, want 0: first | the disk is full", 7},
		"expected":  {"exit 7", func(o *v1alpha1.Run) { o.Spec.Expect.ExitCode = 7 }, v1alpha1.RunSucceeded, "Succeeded: ", 7},
		"silent":    {"echo ill", func(o *v1alpha1.Run) { o.Spec.Expect.OutputContains = "well" }, v1alpha1.RunFailed, "ExpectationFailed: ", 0},
		"late":      {"sleep 60", func(o *v1alpha1.Run) { o.Spec.Timeout = metav1.Duration{Duration: time.Second} }, v1alpha1.RunFailed, "TimedOut: the script did not end within 1s", 124},
		"talkative": {"yes | head -c 300000; echo the end", nil, v1alpha1.RunSucceeded, "Succeeded: ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*v1alpha1.Run)
			if c.change != nil {
				change = append(change, c.change)
			}
			one := r.command(name, "a", c.script, change...)
			if says := r.untilEnded(one, c.phase); !strings.HasPrefix(says, c.says) {
				t.Errorf("it says %q, want %q", says, c.says)
			}
			s := one.Status
			if s.ExitCode == nil || *s.ExitCode != c.exit || s.StartedAt == nil || s.FinishedAt == nil || s.Duration == "" || len(s.Tail) > 4096 {
				t.Errorf("the status says %+v", s)
			}
			if name == "good" && s.Outputs["answer"] != "$(reboot) 'x'" {
				t.Errorf("the outputs are %v", s.Outputs)
			}
			if n := r.executed("a", name); n != 1 {
				t.Errorf("executed %d times", n)
			}
			r.erase(one)
		})
	}
	if left := r.runs("a"); len(left) > 0 {
		t.Errorf("the machine keeps %v", left)
	}
}

func TestProbes(t *testing.T) {
	r := newRig(t, "a")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/ill" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte("health: \\o/ it's 100% [fine]"))
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	nobody := closed.Addr().String()
	r.must(closed.Close())
	target := &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: "a"}}
	http := func(path, contains string) v1alpha1.RunSpec {
		return v1alpha1.RunSpec{
			Action: v1alpha1.RunHTTP, HTTP: &v1alpha1.HTTPProbe{URL: server.URL + path}, Timeout: metav1.Duration{Duration: 10 * time.Second},
			Expect: v1alpha1.Expectation{OutputContains: contains},
		}
	}
	tcp := func(address string) v1alpha1.RunSpec {
		return v1alpha1.RunSpec{Action: v1alpha1.RunTCP, TCP: &v1alpha1.TCPProbe{Address: address}, Timeout: metav1.Duration{Duration: 10 * time.Second}}
	}
	for name, c := range map[string]struct {
		spec  v1alpha1.RunSpec
		phase v1alpha1.RunPhase
		says  string
	}{
		"http":    {http("/", `\o/ it's 100% [fine]`), v1alpha1.RunSucceeded, ""},
		"missing": {http("/", "health.."), v1alpha1.RunFailed, `does not contain "health.."`},
		"ill":     {http("/ill", ""), v1alpha1.RunFailed, "answered with status 503, want 200 to 399"},
		"tcp":     {tcp(address), v1alpha1.RunSucceeded, ""},
		"closed":  {tcp(nobody), v1alpha1.RunFailed, "connecting to " + nobody},
	} {
		for from, target := range map[string]*v1alpha1.RunTarget{"operator": nil, "server": target} {
			t.Run(name+" from "+from, func(t *testing.T) {
				spec := c.spec
				spec.Target = target
				one := r.object(name+"-"+from, spec)
				r.must(r.Client.Create(t.Context(), one))
				if says := r.untilEnded(one, c.phase); !strings.Contains(says, c.says) {
					t.Errorf("it says %q, want %q", says, c.says)
				}
				r.erase(one)
			})
		}
	}
	t.Run("not admitted", func(t *testing.T) {
		one := r.object("metadata", v1alpha1.RunSpec{Action: v1alpha1.RunHTTP, HTTP: &v1alpha1.HTTPProbe{URL: "http://169.254.169.254/"}})
		r.must(r.Client.Create(t.Context(), one))
		if says := r.untilEnded(one, v1alpha1.RunFailed); !strings.Contains(says, "NotAllowed: ") || !strings.Contains(says, "--check-allow") {
			t.Errorf("it says %q", says)
		}
	})
	if left := r.runs("a"); len(left) > 0 {
		t.Errorf("the machine keeps %v", left)
	}
}

// TestAttempts: a Run that failed is done again when a higher attempt is asked for, one that succeeded never.
func TestAttempts(t *testing.T) {
	r := newRig(t, "a")
	one := r.command("twice", "a", `[ -e "$KEELWAY_ROOT/mended" ] || { echo broken; exit 1; }`)
	r.untilEnded(one, v1alpha1.RunFailed)
	r.must(os.WriteFile(filepath.Join(r.root, "a", "mended"), nil, 0o600))
	time.Sleep(300 * time.Millisecond)
	if n := r.executed("a", "twice"); n != 1 {
		t.Errorf("executed %d times before anybody asked", n)
	}
	r.ask(one, "1")
	r.untilEnded(one, v1alpha1.RunSucceeded)
	r.ask(one, "2")
	r.until(one, "answering", func(o *v1alpha1.Run) bool { return o.Status.Attempt == 2 })
	if n := r.executed("a", "twice"); n != 2 || one.Status.Phase != v1alpha1.RunSucceeded {
		t.Errorf("executed %d times, %s", n, one.Status.Phase)
	}
}

// TestOnUnknown: a command that is cut off in the middle is run once more, or asked about, where its spec says so.
func TestOnUnknown(t *testing.T) {
	cutOff := func(r *rig, one *v1alpha1.Run) {
		r.until(one, "running, and in the middle", func(o *v1alpha1.Run) bool { // what has begun is not yet what has come that far
			_, err := os.Stat(filepath.Join(r.root, "a", "begun"))
			return o.Status.StartedAt != nil && err == nil
		})
		killGroup(t, filepath.Join(r.root, "a"))
	}
	const once = `[ -e "$KEELWAY_ROOT/begun" ] && exit 0; : >"$KEELWAY_ROOT/begun"; sleep 60`
	t.Run("Retry", func(t *testing.T) {
		r := newRig(t, "a")
		one := r.command("again", "a", once, func(o *v1alpha1.Run) { o.Spec.OnUnknown = v1alpha1.OnUnknownRetry })
		cutOff(r, one)
		r.untilEnded(one, v1alpha1.RunSucceeded)
		if n := r.executed("a", "again"); one.Status.Repeats != 1 || n != 2 {
			t.Errorf("repeated %d times, executed %d times", one.Status.Repeats, n)
		}
	})
	for name, c := range map[string]struct {
		verify  string
		phase   v1alpha1.RunPhase
		repeats int32
	}{
		"Verify, it is there":  {`[ -e "$KEELWAY_ROOT/begun" ]`, v1alpha1.RunSucceeded, 0},
		"Verify, it is not":    {`exit 10`, v1alpha1.RunSucceeded, 1},
		"Verify, nobody knows": {`echo cannot say; exit 1`, v1alpha1.RunUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "a")
			one := r.command("asked", "a", once, func(o *v1alpha1.Run) {
				o.Spec.OnUnknown, o.Spec.Verify = v1alpha1.OnUnknownVerify, c.verify
			})
			cutOff(r, one)
			if r.untilEnded(one, c.phase); one.Status.Repeats != c.repeats || one.Status.Verifying {
				t.Errorf("the status says %+v", one.Status)
			}
		})
	}
}

// TestUnknown: what had begun on a machine that is lost is never repeated by itself.
func TestUnknown(t *testing.T) {
	r := newRig(t, "a")
	one := r.command("lost", "a", "sleep 30")
	r.until(one, "running", func(o *v1alpha1.Run) bool { return o.Status.StartedAt != nil })
	r.server("a", "b")
	if says := r.untilEnded(one, v1alpha1.RunUnknown); !strings.HasPrefix(says, "MachineLost: machine a of server a is gone") {
		t.Errorf("it says %q", says)
	}
	time.Sleep(300 * time.Millisecond)
	if n := r.executed("b", "lost"); n != 0 {
		t.Errorf("executed %d times on the new machine", n)
	}
	r.erase(one)
	killGroup(t, filepath.Join(r.root, "a"))
}

// killGroup ends what a lost machine still runs: in this test it is not really lost.
func killGroup(t *testing.T, dir string) {
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range entries {
		environ, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(environ), "KEELWAY_ROOT="+dir+"\x00") {
			continue
		}
		pid := 0
		for _, digit := range filepath.Base(filepath.Dir(path)) {
			pid = 10*pid + int(digit-'0')
		}
		if process, err := os.FindProcess(pid); err == nil && pid != os.Getpid() {
			_ = process.Kill()
		}
	}
	_ = t
}

// TestWaits: a Run waits for its server, and says so.
func TestWaits(t *testing.T) {
	r := newRig(t)
	one := r.command("early", "a", "true")
	r.until(one, "waiting", func(o *v1alpha1.Run) bool {
		c := reconcile.Condition(o, v1alpha1.ReadyCondition)
		return o.Status.Phase == v1alpha1.RunPending && c != nil && c.Reason == "ServerNotFound"
	})
	r.server("a", "a")
	r.untilEnded(one, v1alpha1.RunSucceeded)
}

// TestDeleteStops: a Run that is deleted is ended on its machine first.
func TestDeleteStops(t *testing.T) {
	r := newRig(t, "a")
	one := r.command("long", "a", `sleep 5; echo long >>"$KEELWAY_ROOT.done"`)
	r.until(one, "running", func(o *v1alpha1.Run) bool { return o.Status.StartedAt != nil })
	r.erase(one)
	if left := r.runs("a"); len(left) > 0 {
		t.Errorf("the machine keeps %v", left)
	}
	time.Sleep(5500 * time.Millisecond)
	if n := r.executed("a", "long"); n != 1 {
		t.Error("the script went on")
	}
}

// TestCrash: the controller dies at many moments; every command is executed once, and every outcome is found.
func TestCrash(t *testing.T) {
	r := newRig(t, "a", "b")
	var all []*v1alpha1.Run
	for _, name := range []string{"one", "two", "three", "four"} {
		all = append(all, r.command(name+"-a", "a", "sleep 0.4"), r.command(name+"-b", "b", "sleep 0.4"))
	}
	for i := range 14 {
		time.Sleep(time.Duration(41*(i+1)%300) * time.Millisecond)
		r.running.Stop()
		r.start()
	}
	for _, one := range all {
		r.untilEnded(one, v1alpha1.RunSucceeded)
		if n := r.executed(one.Spec.Target.ServerRef.Name, one.Name); n != 1 {
			t.Errorf("%s was executed %d times", one.Name, n)
		}
		r.erase(one)
	}
	if left := append(r.runs("a"), r.runs("b")...); len(left) > 0 {
		t.Errorf("the machines keep %v", left)
	}
}

// frozen is a cache that shows an old copy of one Run.
type frozen struct {
	client.Client
	mu  sync.Mutex
	old *v1alpha1.Run
}

func (f *frozen) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one, ok := into.(*v1alpha1.Run); ok && f.old != nil && key.Name == f.old.Name {
		f.old.DeepCopyInto(one)
		return nil
	}
	return f.Client.Get(ctx, key, into, o...)
}

// TestStaleCache: an old copy that shows a run as ordered, after its result was recorded and its directory forgotten, does not
// start it again. Guard: the live read before a start that nothing was written for.
func TestStaleCache(t *testing.T) {
	r := newRig(t, "a")
	r.running.Stop()
	mgr, err := ctrl.NewManager(r.Config, ctrl.Options{Scheme: r.Scheme})
	r.must(err)
	o := options(mgr)
	cache := &frozen{Client: r.Client}
	o.Kit.Client, o.Kit.Live = cache, r.Client
	reconciler := run.New(o)
	one := r.command("stale", "a", "true")
	look := func() {
		_, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(one)})
		r.must(err)
		r.must(r.Client.Get(t.Context(), client.ObjectKeyFromObject(one), one))
	}
	look()
	old := one.DeepCopy()
	if old.Status.Phase != v1alpha1.RunRunning || old.Status.StartedAt != nil {
		t.Fatalf("after the first look: %+v", old.Status)
	}
	for one.Status.Phase != v1alpha1.RunSucceeded {
		time.Sleep(50 * time.Millisecond)
		look()
	}
	cache.old = old
	look()
	time.Sleep(500 * time.Millisecond)
	if n := r.executed("a", "stale"); n != 1 || len(r.runs("a")) != 0 {
		t.Errorf("executed %d times; the machine keeps %v", n, r.runs("a"))
	}
}
