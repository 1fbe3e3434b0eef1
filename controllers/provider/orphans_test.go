package provider

import (
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	cloud "github.com/keelway/keelway/internal/provider"
)

// TestSweep: what is not provably left behind is not named, and nothing is touched.
func TestSweep(t *testing.T) {
	kept := servers(1, "mem")[0]
	kept.SetUID("uid-kept")
	rg := newRig(t, object(), kept)
	make := func(namespace, name, uid string) cloud.Instance {
		i, err := rg.cloud.Create(t.Context(), cloud.Machine{Key: "key-" + uid, Owner: cloud.Owner{Installation: "test", Namespace: namespace, Name: name, UID: uid}})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	make("team", kept.GetName(), "uid-kept")
	lost := make("team", "gone", "uid-gone")
	former := make("team", kept.GetName(), "uid-former")
	make("other", "elsewhere", "uid-elsewhere")
	p, _, err := rg.walk()
	if err != nil || len(p.Status.Orphans) != 2 || p.Status.Orphans[0].ID != lost.ID || p.Status.Orphans[1].ID != former.ID || p.Status.Orphans[0].Server != "team/gone" {
		t.Fatalf("orphans are %+v, %v", p.Status.Orphans, err)
	}
	if !strings.Contains(p.Status.Conditions[0].Message, "belong to no Server: 2") {
		t.Errorf("people do not hear of it: %+v", p.Status.Conditions)
	}
	if report := rg.cloud.Report(); report.Live != 4 || report.Mutating != 4 {
		t.Errorf("the sweep touched something: %+v", report)
	}
	if err := rg.live.Delete(t.Context(), kept.(client.Object)); err != nil {
		t.Fatal(err)
	}
	rg.cloud.Vanish(lost.ID)
	rg.cloud.Report()
	if _, err := rg.Inventory.Refresh(t.Context(), p.Status.Account, rg.cloud, time.Now()); err != nil {
		t.Fatal(err)
	}
	p, _, err = rg.walk()
	if err != nil || len(p.Status.Orphans) != 2 || p.Status.Orphans[0].ID == lost.ID {
		t.Errorf("what has ended is no orphan, and what lost its Server is one: %+v, %v", p.Status.Orphans, err)
	}
}
