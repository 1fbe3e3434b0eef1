package server

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// labelled is a cloud whose machines carry labels of people.
type labelled struct {
	*mem.Cloud
	asked []provider.Machine
}

func (l *labelled) LabelRules() provider.LabelRules {
	return provider.LabelRules{KeyLeast: 2, KeyMost: 8, ValueMost: 8}
}

func (l *labelled) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	l.asked = append(l.asked, want)
	return l.Cloud.Create(ctx, want)
}

// The object's labels go onto its machine, but for the house's own and those that the cloud does not take, which an event tells of.
func TestLabelsOfPeople(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("s", func(s *v1alpha1.Server) {
		s.Labels = map[string]string{"role": "web", "too-long-a-key": "x", v1alpha1.LabelWorkflow: "w", "keelway.dev/uid": "another"}
	}))
	cloud := &labelled{Cloud: rg.cloud}
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(cloud, time.Second), provider.Account{ID: testAccount, Location: "memory"}, nil
	}
	r := rg.boot(rg.client)
	for range 20 {
		rg.reconcile(r, "s")
		if s := rg.get("s"); s.Status.ID != "" {
			break
		}
		time.Sleep(testSettle)
	}
	if len(cloud.asked) != 1 || !maps.Equal(cloud.asked[0].Labels, map[string]string{"role": "web"}) {
		t.Fatalf("it was asked for %+v", cloud.asked)
	}
	told := 0
	for len(rg.events.Events) > 0 {
		if e := <-rg.events.Events; strings.Contains(e, "LabelsOmitted") {
			told++
			if !strings.HasSuffix(e, ": too-long-a-key") {
				t.Errorf("it tells %q", e)
			}
		}
	}
	if told != 1 {
		t.Errorf("it was told %d times which labels are missing", told)
	}
}

// An edit of labels raises no generation, and wakes the Server; a status does not.
func TestLabelsWake(t *testing.T) {
	was := newServer("s")
	edited, told := was.DeepCopy(), was.DeepCopy()
	edited.Labels, told.Status.ID = map[string]string{"role": "db"}, "i-1"
	for object, want := range map[*v1alpha1.Server]bool{edited: true, told: false} {
		if got := wanted().Update(event.UpdateEvent{ObjectOld: was, ObjectNew: object}); got != want {
			t.Errorf("labels %v, id %q: %t", object.Labels, object.Status.ID, got)
		}
	}
}

// Labels of the object that its machine lacks are drift: they are written in place, and what says whose the machine is stays as it is.
func TestLabelsInPlace(t *testing.T) {
	type cloud struct {
		provider.Relabeller
		provider.Provider
		size, call string
		stage      *faults.Stage
	}
	for name, open := range map[string]func(*testing.T) cloud{
		"AWS": func(t *testing.T) cloud { a, c := atAWS(t); return cloud{a, a, "t3.micro", "CreateTags", c.Stage} },
		"UpCloud": func(t *testing.T) cloud {
			u, c := atUpCloud(t)
			return cloud{u, u, "2xCPU-4GB", "ModifyServer", c.Stage}
		},
	} {
		t.Run(name, func(t *testing.T) {
			at, ctx := open(t), context.Background()
			rg := newRig(t, mem.Options{}, readyProvider(), newServer("s", func(s *v1alpha1.Server) {
				s.Spec.Size, s.Spec.Image, s.Labels = at.size, "debian-12", map[string]string{"role": "web"}
			}))
			rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
				at.stage.Clock.Move(5 * time.Second) // time passes with every look
				return provider.Guarded(at.Provider, 30*time.Second), provider.Account{ID: testAccount}, nil
			}
			r := rg.boot(rg.client)
			s := rg.up(r, "s")
			id := s.Status.ID
			first, err := at.Get(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			steps := []struct {
				reason  string
				change  func(*v1alpha1.Server)
				by      map[string]string // another hand
				want    map[string]string
				calls   int
				drifted bool
			}{
				{"as it was made", nil, nil, map[string]string{"role": "web"}, 0, false},
				{"an edit", func(s *v1alpha1.Server) {
					s.Labels = map[string]string{"role": "db", "team": "a", "keelway.dev/uid": "another"}
				}, nil, map[string]string{"role": "db", "team": "a"}, 1, false},
				{"another hand", nil, map[string]string{"role": "x", "theirs": "y"}, map[string]string{"role": "db", "team": "a", "theirs": "y"}, 1, false},
				{"only reported", func(s *v1alpha1.Server) { s.Spec.DriftPolicy = v1alpha1.DriftReport }, map[string]string{"role": "x"}, map[string]string{"role": "x", "team": "a", "theirs": "y"}, 0, true},
				{"ignored", func(s *v1alpha1.Server) { s.Spec.IgnoreFields = []v1alpha1.ServerField{v1alpha1.FieldLabels} }, nil, map[string]string{"role": "x", "team": "a", "theirs": "y"}, 0, false},
				{"taken off the object, only reported", func(s *v1alpha1.Server) { s.Spec.IgnoreFields, s.Labels = nil, map[string]string{"team": "a"} }, nil, map[string]string{"role": "x", "team": "a", "theirs": "y"}, 0, true},
				{"taken off the object", func(s *v1alpha1.Server) { s.Spec.DriftPolicy = "" }, nil, map[string]string{"team": "a", "theirs": "y"}, 1, false},
				{"somebody else writes what was ours once", nil, map[string]string{"role": "z"}, map[string]string{"role": "z", "team": "a", "theirs": "y"}, 0, false},
			}
			for _, step := range steps {
				if step.by != nil {
					if err := at.SetLabels(ctx, id, step.by); err != nil {
						t.Fatal(err)
					}
				}
				if step.change != nil {
					s := rg.get("s")
					step.change(s)
					if err := rg.client.Update(ctx, s); err != nil {
						t.Fatal(err)
					}
				}
				count := func() int { c := at.stage.Log.Report(0).Counts; return c[at.call] + c["DeleteTags"] }
				before := count()
				for range 3 {
					rg.refreshAt(r)
					rg.reconcile(r, "s")
				}
				got, err := at.Get(ctx, id)
				s := rg.get("s")
				if err != nil || !maps.Equal(got.Labels, step.want) || got.Owner != first.Owner || got.Key != first.Key {
					t.Errorf("%s: %v of %+v, %v", step.reason, got.Labels, got.Owner, err)
				}
				if calls := count() - before; calls != step.calls {
					t.Errorf("%s: %d calls", step.reason, calls)
				}
				if told := reconcile.Condition(s, v1alpha1.DriftedCondition); (told != nil) != step.drifted || !provisioned(s) {
					t.Errorf("%s: %s", step.reason, told)
				}
			}
			for _, key := range []string{"keelway.dev/uid", "keelway.dev/installation"} {
				if err := at.SetLabels(ctx, id, map[string]string{key: "another"}); fault.ReasonOf(err) != fault.ReasonInvalid {
					t.Errorf("%s is reserved: %v", key, err)
				}
			}
		})
	}
}

// refreshAt is the inventory's own tick at an account of another cloud.
func (rg *rig) refreshAt(r *Reconciler) {
	rg.t.Helper()
	if _, err := r.Inventory.Refresh(context.Background(), testAccount, mustOpen(rg), time.Now()); err != nil {
		rg.t.Fatal(err)
	}
}
