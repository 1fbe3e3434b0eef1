package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/reconcile"
)

// sky is two simulated clouds, and the operator's program that works on Servers at both.
type sky struct {
	*bench
	rng     *rand.Rand
	servers map[string]int // at each Provider
	kills   int
	stages  []*faults.Stage
	machine map[string]func() (ids []string, disks, made int, beside []string) // what is at each Provider
}

// sizes and images that a Provider has, before and after a change.
var skyShapes = map[string]struct{ size, larger, image, other string }{
	"aws": {"t3.micro", "t3.small", "debian-12", "ubuntu-24.04"},
	"up":  {"1xCPU-1GB", "2xCPU-4GB", "debian-12", "ubuntu-24.04"},
}

// quick is how fast the clouds' time runs.
const quick = 30

func newSky(t *testing.T, n int) *sky {
	t.Helper()
	l := lab.Shared(t)
	s := &sky{bench: &bench{Lab: l, t: t, install: install(t, l)}, rng: dice(t), servers: map[string]int{"aws": n, "up": n}}
	s.namespace = l.Namespace(t)
	aws, up := ec2.New(ec2.Options{Speed: quick, Lag: 30 * time.Second}), upcloud.New(upcloud.Options{Speed: quick})
	atAWS, atUp := httptest.NewServer(aws.Handler()), httptest.NewServer(up.Handler())
	t.Cleanup(atAWS.Close)
	t.Cleanup(atUp.Close)
	s.stages = []*faults.Stage{aws.Stage, up.Stage}
	s.machine = map[string]func() ([]string, int, int, []string){
		"aws": func() (ids []string, disks, made int, beside []string) {
			r := aws.Report()
			for _, m := range r.Machines {
				ids = append(ids, m.ID)
			}
			return ids, r.Volumes, r.Made, slices.Concat(r.Groups, r.Keys)
		},
		"up": func() (ids []string, disks, made int, beside []string) {
			i := up.Inventory()
			for _, m := range i.Servers {
				ids = append(ids, m.ID)
			}
			return ids, len(i.Storages), i.Made, nil
		},
	}
	dir := t.TempDir()
	s.log = filepath.Join(dir, "operator.log")
	s.args = []string{"--watch-namespace=" + s.namespace, "--endpoint-allow=127.0.0.0/8", "--simulate-machines"}
	t.Cleanup(s.close)
	s.start()
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: aws}
stringData: {accessKeyID: %s, secretAccessKey: %s}
---
apiVersion: v1
kind: Secret
metadata: {name: up}
stringData: {token: ucat_FAKE}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: aws}
spec: {type: AWS, credentials: {secretRef: {name: aws}}, aws: {region: eu-west-1, endpoint: %q, network: {sshFrom: ["192.0.2.0/24"]}}}
---
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: up}
spec: {type: UpCloud, credentials: {secretRef: {name: up}}, upCloud: {zone: fi-hel1, endpoint: %q}}
`, ec2.AccessKeyID, ec2.SecretAccessKey, atAWS.URL, atUp.URL))
	return s
}

func (s *sky) close() {
	if s.present != nil && !s.present.ended() {
		s.present.stop(s.t)
	}
	inspectLog(s.t, s.log)
	if s.t.Failed() {
		s.t.Logf("the end of the operator's log:\n%s", tail(s.log, 60))
	}
}

// make applies a Server, with the machine that it is to adopt, if any.
func (s *sky) make(at string, n int, adopts string) {
	s.t.Helper()
	shape := skyShapes[at]
	o := &v1alpha1.Server{}
	o.Namespace, o.Name = s.namespace, fmt.Sprintf("%s-%d", at, n)
	o.Spec.ProviderRef.Name, o.Spec.Size, o.Spec.Image = at, shape.size, shape.image
	o.Spec.Disks = []v1alpha1.NamedDisk{{Name: "data", Disk: v1alpha1.Disk{SizeGiB: 10}}}
	if adopts != "" {
		o.Spec.Adopt = &v1alpha1.Adoption{ID: adopts}
	}
	if err := s.Client.Create(s.t.Context(), o); err != nil {
		s.t.Fatal(err)
	}
}

// each does something with every Server, as it is now.
func (s *sky) each(do func(at string, now *v1alpha1.Server)) {
	s.t.Helper()
	for at, n := range s.servers {
		for i := range n {
			now := &v1alpha1.Server{}
			if err := s.Client.Get(s.t.Context(), types.NamespacedName{Namespace: s.namespace, Name: fmt.Sprintf("%s-%d", at, i)}, now); err != nil {
				s.t.Fatal(err)
			}
			do(at, now)
		}
	}
}

// edit changes Servers as people do.
func (s *sky) edit(change func(at string, spec *v1alpha1.ServerSpec)) {
	s.t.Helper()
	s.each(func(at string, now *v1alpha1.Server) {
		was := now.DeepCopy()
		change(at, &now.Spec)
		if err := s.Client.Patch(s.t.Context(), now, client.MergeFrom(was)); err != nil {
			s.t.Fatal(err)
		}
	})
}

// torture kills the operator at some moments of what comes next, and starts it again.
func (s *sky) torture(what string, times int) {
	s.t.Helper()
	for range times {
		time.Sleep(time.Duration(s.rng.IntN(2500)) * time.Millisecond)
		doing, pid, age := s.doing(), s.present.pid(), time.Since(s.present.began)
		s.present.kill()
		s.kills++
		s.t.Logf("%s: kill %d of pid %d, %.2f s old: %s", what, s.kills, pid, age.Seconds(), doing)
		s.start()
	}
}

// doing are the last calls that changed something at the clouds.
func (s *sky) doing() string {
	var told []string
	for _, stage := range s.stages {
		calls := slices.DeleteFunc(stage.Log.Report(0).Calls, func(c faults.Call) bool { return !c.Mutating })
		if n := len(calls); n > 0 {
			told = append(told, fmt.Sprintf("%s call %d %s %s", stage.Cloud, calls[n-1].Seq, calls[n-1].Operation, calls[n-1].Target))
		}
	}
	return strings.Join(told, ", ")
}

// until waits until every Server is ready and as wanted.
func (s *sky) until(what string, is func(at string, now *v1alpha1.Server) bool) {
	s.t.Helper()
	begun := time.Now()
	s.eventually(what, patience, func() (err error) {
		s.each(func(at string, now *v1alpha1.Server) {
			ready := reconcile.Condition(now, v1alpha1.ReadyCondition)
			if ready == nil || ready.Status != "True" || now.Status.ObservedGeneration != now.Generation || !is(at, now) {
				err = fmt.Errorf("server %s: %+v", now.Name, ready)
			}
		})
		return err
	})
	s.t.Logf("%s after %.1f s", what, time.Since(begun).Seconds())
}

// sound demands that each Server has one machine with its disks, and that so many were ever made at each cloud.
func (s *sky) sound(when string, made int) map[string]string {
	s.t.Helper()
	recorded := map[string][]string{}
	of := map[string]string{}
	s.each(func(at string, now *v1alpha1.Server) {
		recorded[at] = append(recorded[at], now.Status.ID)
		of[now.Name] = now.Status.ID
	})
	for at, look := range s.machine {
		ids, disks, ever, _ := look()
		slices.Sort(ids)
		slices.Sort(recorded[at])
		if !slices.Equal(ids, recorded[at]) || disks != 2*len(ids) || ever != made {
			s.t.Errorf("%s: Provider %s has the machines %v with %d disks, %d were made and the Servers have %v; want %d", when, at, ids, disks, ever, recorded[at], made)
		}
	}
	return of
}

// TestKillsAtClouds kills the operator's program at random moments while Servers at simulated AWS and UpCloud are made, resized, replaced,
// adopted and deleted (KEELWAY_SEED=n repeats them): no machine and no disk is made twice, none is left and no id is lost. The short
// form makes, replaces and deletes, and leaves the operator alone while it deletes.
func TestKillsAtClouds(t *testing.T) {
	t.Parallel()
	n, times := pick(2, 5), pick(1, 8)
	s := newSky(t, n)
	for at := range s.servers {
		for i := range n {
			s.make(at, i, "")
		}
	}
	s.torture("create", times)
	s.until("made", func(string, *v1alpha1.Server) bool { return true })
	machines := s.sound("made", n)
	if long() {
		s.resize(times)
		s.sound("resized", n)
	}
	s.replace(machines, times)
	ever := 2 * n
	machines = s.sound("replaced", ever)
	if long() {
		s.adopt(machines, times)
		s.sound("adopted", ever)
	}
	s.deleteAll()
	s.torture("delete", pick(0, times))
	s.gone()
	for at, look := range s.machine {
		s.eventually("nothing is left at "+at, patience, func() error { // what they shared goes after them
			if ids, disks, made, beside := look(); len(ids)+disks+len(beside) > 0 || made != ever {
				return fmt.Errorf("machines %v, %d disks, %v; %d machines were made", ids, disks, beside, made)
			}
			return nil
		})
	}
	t.Logf("killed %d times: no machine and no disk twice, none left, no id lost", s.kills)
}

func (s *sky) resize(times int) {
	s.t.Helper()
	s.edit(func(at string, spec *v1alpha1.ServerSpec) { spec.Size = skyShapes[at].larger })
	s.torture("resize", times)
	s.until("resized", func(at string, now *v1alpha1.Server) bool { return now.Status.Applied.Size == skyShapes[at].larger })
}

func (s *sky) replace(machines map[string]string, times int) {
	s.t.Helper()
	s.edit(func(at string, spec *v1alpha1.ServerSpec) {
		spec.Image, spec.UpdatePolicy = skyShapes[at].other, v1alpha1.UpdateReplaceAllowed
	})
	s.torture("replace", times)
	s.until("replaced", func(_ string, now *v1alpha1.Server) bool { return now.Status.ID != machines[now.Name] })
}

// adopt lets new Servers of the same names take over the machines, which the former ones leave behind.
func (s *sky) adopt(machines map[string]string, times int) {
	s.t.Helper()
	s.edit(func(_ string, spec *v1alpha1.ServerSpec) { spec.DeletionPolicy = v1alpha1.DeletionOrphan })
	s.deleteAll()
	s.gone()
	for name, id := range machines {
		at, number, _ := strings.Cut(name, "-")
		s.make(at, int(number[0]-'0'), id)
	}
	s.torture("adopt", times)
	s.until("adopted", func(_ string, now *v1alpha1.Server) bool { return now.Status.ID == machines[now.Name] })
}

func (s *sky) deleteAll() {
	s.t.Helper()
	if err := s.Client.DeleteAllOf(s.t.Context(), &v1alpha1.Server{}, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
}

// gone waits until no Server is left.
func (s *sky) gone() {
	s.t.Helper()
	begun := time.Now()
	s.eventually("the Servers go", patience, func() error {
		if left := s.bench.servers(); len(left) > 0 {
			return fmt.Errorf("%d are left, %s: %+v", len(left), left[0].Name, reconcile.Condition(&left[0], v1alpha1.ReadyCondition))
		}
		return nil
	})
	s.t.Logf("the Servers are gone after %.1f s", time.Since(begun).Seconds())
}
