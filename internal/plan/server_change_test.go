package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// wish is a spec with what matters to changes.
func wish(change ...func(*v1alpha1.ServerSpec)) v1alpha1.ServerSpec {
	spec := v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{Size: "small", Image: "debian"}}
	for _, c := range change {
		c(&spec)
	}
	return spec
}

func found(change ...func(*Machine)) Machine {
	m := machine("i-1", "me", MachineRunning)
	m.Size, m.Image = "small", "debian"
	for _, c := range change {
		c(&m)
	}
	return m
}

func off(m *Machine)                    { m.State = MachineStopped }
func large(m *Machine)                  { m.Size = "large" }
func wantLarge(s *v1alpha1.ServerSpec)  { s.Size = "large" }
func wantOff(s *v1alpha1.ServerSpec)    { s.Power = v1alpha1.PowerStopped }
func wantOther(s *v1alpha1.ServerSpec)  { s.Image = "ubuntu" }
func mayReplace(s *v1alpha1.ServerSpec) { s.UpdatePolicy = v1alpha1.UpdateReplaceAllowed }
func protected(s *v1alpha1.ServerSpec)  { s.DeletionProtection = v1alpha1.SwitchEnabled }
func reports(s *v1alpha1.ServerSpec)    { s.DriftPolicy = v1alpha1.DriftReport }
func ignores(s *v1alpha1.ServerSpec)    { s.DriftPolicy = v1alpha1.DriftIgnore }
func lacking(m *Machine)                { m.Lacks = []Label{{Key: "team", Value: "a"}} }
func ignoresLabels(s *v1alpha1.ServerSpec) {
	s.IgnoreFields = []v1alpha1.ServerField{v1alpha1.FieldLabels}
}
func ignoresPower(s *v1alpha1.ServerSpec) {
	s.IgnoreFields = []v1alpha1.ServerField{v1alpha1.FieldPower}
}

var (
	able   = ServerAbilities{Power: true, Resize: true, Adopt: true, Label: true}
	unable = ServerAbilities{}
	was    = v1alpha1.ServerApplied{Size: "small", Image: "debian", Power: v1alpha1.PowerRunning}
)

func TestServerChanges(t *testing.T) {
	tests := map[string]struct {
		reason  string
		spec    v1alpha1.ServerSpec
		machine Machine
		can     ServerAbilities
		applied v1alpha1.ServerApplied
		want    []serverVerdict
		message string
	}{
		"as wanted":                {"nothing to do", wish(), found(), able, was, serverDoes(ServerNone, "i-1"), ""},
		"off, as wanted":           {"it is what was asked for, and nobody dials it", wish(wantOff), found(off), able, was, serverWaits("Stopped"), "as wanted"},
		"switched off by a wish":   {"power can be changed in place", wish(wantOff), found(), able, was, serverDoes(ServerStop, "i-1"), ""},
		"switched on by a wish":    {"power can be changed in place", wish(), found(off), able, v1alpha1.ServerApplied{Size: "small", Image: "debian", Power: v1alpha1.PowerStopped}, serverDoes(ServerStart, "i-1"), ""},
		"a wish against a report":  {"a change is no drift: driftPolicy says nothing about it", wish(wantOff, reports), found(), able, was, serverDoes(ServerStop, "i-1"), ""},
		"off by another hand":      {"driftPolicy is Correct", wish(), found(off), able, was, serverDoes(ServerStart, "i-1"), ""},
		"off, only reported":       {"a person decides", wish(reports), found(off), able, was, serverWaits(fault.ReasonDrifted), "not by our hand"},
		"off, ignored":             {"it is nobody's business, and it does not run", wish(ignoresPower), found(off), able, was, serverWaits("Stopped"), ""},
		"a label":                  {"the wish was edited, or another hand was at work", wish(), found(lacking), able, was, serverDoes(ServerLabel, "i-1"), ""},
		"a label and a size":       {"the label first: it disturbs nobody", wish(wantLarge), found(lacking), able, was, serverDoes(ServerLabel, "i-1"), ""},
		"a label, only reported":   {"the machine runs, and Drifted tells", wish(reports), found(lacking), able, was, serverDoes(ServerNone, "i-1"), ""},
		"a label, ignored":         {"nothing is said", wish(ignoresLabels), found(lacking), able, was, serverDoes(ServerNone, "i-1"), ""},
		"a label, beyond us":       {"it is told and nothing waits for it", wish(), found(lacking), unable, was, serverDoes(ServerNone, "i-1"), ""},
		"cannot be started":        {"who can is told", wish(), found(off), unable, was, serverWaits(fault.ReasonInProgress), "start it there"},
		"cannot be switched off":   {"fail closed: what cannot be done is not hidden", wish(wantOff), found(), unable, was, serverStops(fault.ReasonChangeRefused), "set it back"},
		"another size":             {"it is switched off first", wish(wantLarge), found(), able, was, serverDoes(ServerStop, "i-1"), ""},
		"another size, off":        {"now it can be resized", wish(wantLarge), found(off), able, was, serverDoes(ServerResize, "i-1"), ""},
		"resized":                  {"and switched on again", wish(wantLarge), found(off, large), able, was, serverDoes(ServerStart, "i-1"), ""},
		"resized, wanted off":      {"it stays off", wish(wantLarge, wantOff), found(off, large), able, was, serverWaits("Stopped"), ""},
		"resized by another hand":  {"driftPolicy is Correct", wish(), found(large), able, was, serverDoes(ServerStop, "i-1"), ""},
		"resized, only reported":   {"the machine runs: it is Ready, and Drifted tells", wish(reports), found(large), able, was, serverDoes(ServerNone, "i-1"), ""},
		"resized, ignored":         {"nothing is said", wish(ignores), found(large), able, was, serverDoes(ServerNone, "i-1"), ""},
		"drift beyond us":          {"never another machine because of a drift", wish(mayReplace), found(large), unable, was, serverDoes(ServerNone, "i-1"), ""},
		"size not in place":        {"fail closed", wish(wantLarge), found(), unable, was, serverStops(fault.ReasonChangeRefused), "size: wanted large, found small"},
		"size by replacement":      {"a person allowed it", wish(wantLarge, mayReplace), found(), unable, was, serverDoes(ServerReplace, "i-1"), ""},
		"image":                    {"no cloud changes it in place", wish(wantOther), found(), able, was, serverStops(fault.ReasonChangeRefused), "image: wanted ubuntu, found debian"},
		"image by replacement":     {"a person allowed it", wish(wantOther, mayReplace), found(), able, was, serverDoes(ServerReplace, "i-1"), ""},
		"image, protected":         {"what is on the machine is not to go", wish(wantOther, mayReplace, protected), found(), able, was, serverStops(fault.ReasonChangeRefused), "deletionProtection"},
		"image by another name":    {"an alias and its id are one image", wish(), found(func(m *Machine) { m.Image = "ami-1" }), able, was, serverDoes(ServerNone, "i-1"), ""},
		"image that nobody tells":  {"fail closed: that the provider is silent is no reason to believe it", wish(wantOther), found(func(m *Machine) { m.Image = "" }), able, was, serverStops(fault.ReasonChangeRefused), "found debian"},
		"image by the former name": {"the change was taken back", wish(), found(), able, was, serverDoes(ServerNone, "i-1"), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Server(tc.spec, ServerSeen{UID: "me", Key: "key-me", Recorded: "i-1", Looked: true, Applied: &tc.applied, Can: tc.can, Machines: []Machine{tc.machine}})
			if diff := cmp.Diff(tc.want, serverVerdicts(got)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
			}
			text := got[0].Text
			if got[0].Err != nil {
				text = got[0].Err.Error()
			}
			if !strings.Contains(text, tc.message) {
				t.Errorf("the message %q does not say %q", text, tc.message)
			}
		})
	}
}

func TestServerReplacement(t *testing.T) {
	going := &v1alpha1.ServerReplacement{ID: "i-1"}
	gone := ServerSeen{Recorded: "i-1", Looked: true, Absences: 2, Settled: true, Applied: &was}
	with := func(seen ServerSeen, change func(*ServerSeen)) ServerSeen { change(&seen); return seen }
	tests := map[string]struct {
		reason string
		spec   v1alpha1.ServerSpec
		seen   ServerSeen
		want   []serverVerdict
	}{
		"recorded":          {"the deed comes after the record", wish(mayReplace), ServerSeen{Recorded: "i-1", Replacing: going}, serverDoes(ServerDelete, "i-1")},
		"protected since":   {"nothing is ended that somebody protects", wish(mayReplace, protected), ServerSeen{Recorded: "i-1", Replacing: going}, serverStops(fault.ReasonChangeRefused)},
		"ending":            {"I1: the next one is not made before", wish(), ServerSeen{Recorded: "i-1", Replacing: going, Ending: true}, serverWaits(fault.ReasonInProgress)},
		"said to be gone":   {"one answer may be wrong", wish(), ServerSeen{Recorded: "i-1", Replacing: going, Absences: 1, Settled: true}, serverDoes(ServerLook, "")},
		"gone":              {"room is made", wish(), with(gone, func(s *ServerSeen) { s.Replacing = going }), serverDoes(ServerRenew, "i-1")},
		"shown once more":   {"a provider that lags shows the one that ended as if it ran: it is not taken for the next one", wish(), ServerSeen{Looked: true, Replacing: going, Machines: []Machine{machine("i-1", "me", MachineRunning)}}, serverDoes(ServerCreate, "")},
		"shown beside":      {"the next one is ours, whatever is shown beside it", wish(), ServerSeen{Looked: true, Replacing: going, Machines: []Machine{machine("i-1", "me", MachineRunning), machine("i-2", "me", MachinePending)}}, serverDoes(ServerAdopt, "i-2")},
		"the next one":      {"what was ended before is no wish to end what came after", wish(), with(gone, func(s *ServerSeen) { s.Recorded, s.Replacing, s.Absences = "i-2", going, 0 }), serverDoes(ServerLook, "i-2")},
		"deleted meanwhile": {"deletion comes before everything", wish(), ServerSeen{Recorded: "i-1", Replacing: going, Deleting: true}, serverDoes(ServerDelete, "i-1")},
		"lost":              {"recreation only by policy", wish(), gone, serverStops(fault.ReasonMachineLost)},
		"lost, allowed":     {"a person allowed it", wish(mayReplace), gone, serverDoes(ServerReplace, "i-1")},
		"lost, reported":    {"a person decides", wish(mayReplace, reports), gone, serverStops(fault.ReasonMachineLost)},
		"never came up":     {"a machine that never comes up would be made for ever", wish(mayReplace), with(gone, func(s *ServerSeen) { s.Applied = nil }), serverStops(fault.ReasonMachineLost)},
		"ended by another":  {"the same, seen earlier", wish(mayReplace), ServerSeen{Recorded: "i-1", Looked: true, Applied: &was, Machines: []Machine{machine("i-1", "me", MachineTerminating)}}, serverDoes(ServerReplace, "i-1")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.seen.UID, tc.seen.Key = "me", "key-me"
			if diff := cmp.Diff(tc.want, serverVerdicts(Server(tc.spec, tc.seen))); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestServerAdoption(t *testing.T) {
	adopt := func(s *v1alpha1.ServerSpec) { s.Adopt = &v1alpha1.Adoption{ID: "i-7"} }
	owned := func(installation, namespace, name, uid string) []Machine {
		return []Machine{{ID: "i-7", UID: uid, Installation: installation, Namespace: namespace, Name: name, State: MachineRunning}}
	}
	tests := map[string]struct {
		reason string
		seen   ServerSeen
		want   []serverVerdict
	}{
		"first":            {"it is looked for by its id", ServerSeen{}, serverDoes(ServerLook, "i-7")},
		"not in the list":  {"what is not labelled is in no list of ours", ServerSeen{Looked: true, Absences: 1}, serverDoes(ServerLook, "i-7")},
		"not there":        {"the id is wrong", ServerSeen{Looked: true, Absences: 2}, serverStops(fault.ReasonInvalid)},
		"nobody's":         {"it is free to take", ServerSeen{Looked: true, Machines: owned("", "", "", "")}, serverDoes(ServerClaim, "i-7")},
		"of a namesake":    {"the management cluster was rebuilt: the object of that uid is gone", ServerSeen{Looked: true, Machines: owned("inst", "ns", "web", "before")}, serverDoes(ServerClaim, "i-7")},
		"claimed":          {"a crash came before the record", ServerSeen{Looked: true, Machines: []Machine{{ID: "i-7", UID: "me", Key: "key-me", State: MachineRunning}}}, serverDoes(ServerAdopt, "i-7")},
		"another's":        {"I13: it is left alone", ServerSeen{Looked: true, Machines: owned("inst", "ns", "db", "other")}, serverStops(fault.ReasonIdentityConflict)},
		"elsewhere":        {"I13: it is left alone", ServerSeen{Looked: true, Machines: owned("theirs", "ns", "web", "other")}, serverStops(fault.ReasonIdentityConflict)},
		"ending":           {"there is nothing to adopt", ServerSeen{Looked: true, Machines: []Machine{{ID: "i-7", State: MachineTerminating}}}, serverWaits(fault.ReasonInProgress)},
		"one made":         {"I1: an object has one machine", ServerSeen{Looked: true, Machines: append(owned("", "", "", ""), machine("i-1", "me", MachineRunning))}, serverStops(fault.ReasonIdentityConflict)},
		"another recorded": {"an id stands for one machine", ServerSeen{Recorded: "i-1", Looked: true}, serverStops(fault.ReasonInvalid)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.seen.UID, tc.seen.Key, tc.seen.Can = "me", "key-me", able
			tc.seen.Installation, tc.seen.Namespace, tc.seen.Name = "inst", "ns", "web"
			if diff := cmp.Diff(tc.want, serverVerdicts(Server(wish(adopt), tc.seen))); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if got := serverVerdicts(Server(wish(adopt), ServerSeen{Looked: true})); !cmp.Equal(got, serverStops(fault.ReasonInvalid)) {
		t.Errorf("where nothing can be adopted that is said: %v", got)
	}
}

func TestServerWithoutTokens(t *testing.T) {
	blind := ServerAbilities{Untokened: true}
	launched := Launch{Token: "t"}
	two := []Machine{machine("i-2", "me", MachineRunning), machine("i-1", "me", MachineRunning)}
	tests := map[string]struct {
		reason string
		seen   ServerSeen
		want   []serverVerdict
	}{
		"first":          {"nothing was ever sent", ServerSeen{Looked: true, Absences: 1}, serverDoes(ServerCreate, "")},
		"sent, one look": {"one answer may be wrong", ServerSeen{Looked: true, Absences: 1, Launch: launched}, serverDoes(ServerLook, "")},
		"sent, fresh":    {"the cloud may hide what is there", ServerSeen{Looked: true, Absences: 2, Launch: launched}, serverWaits(fault.ReasonInProgress)},
		"sent, settled":  {"it was never made", ServerSeen{Looked: true, Absences: 2, Launch: launched, Settled: true}, serverDoes(ServerCreate, "")},
		"two":            {"every walk chooses the same one", ServerSeen{Looked: true, Machines: two}, serverDoes(ServerAdopt, "i-1")},
		"two, one recorded": {"the other one goes, and that is said", ServerSeen{Recorded: "i-1", Looked: true, Applied: &was, Machines: two},
			append(serverDoes(ServerDelete, "i-2"), serverWaits(fault.ReasonInProgress)...)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.seen.UID, tc.seen.Key, tc.seen.Can = "me", "key-me", blind
			if diff := cmp.Diff(tc.want, serverVerdicts(Server(wish(), tc.seen))); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestServerOfABatch(t *testing.T) {
	unlabelled := Machine{ID: "i-5", Installation: "inst", Launch: Launch{Token: "t", Index: 1}, State: MachinePending}
	seen := ServerSeen{UID: "me", Key: "key-me", Launch: Launch{Token: "t", Index: 1}, Looked: true, Machines: []Machine{unlabelled}, Can: able}
	if got := serverVerdicts(Server(wish(), seen)); !cmp.Equal(got, serverDoes(ServerClaim, "i-5")) {
		t.Errorf("the machine of our launch was made and not labelled: %v", got)
	}
	seen.Launch.Index = 2
	if got := serverVerdicts(Server(wish(), seen)); cmp.Equal(got, serverDoes(ServerClaim, "i-5")) {
		t.Errorf("another member's machine is not ours: %v", got)
	}
}

func TestServerProtected(t *testing.T) {
	got := Server(wish(protected), ServerSeen{Deleting: true, Recorded: "i-1", Users: []string{"Run b"}, Abandoned: true})
	if !cmp.Equal(serverVerdicts(got), serverWaits(fault.ReasonProtected)) {
		t.Errorf("protection comes before everything: %v", got)
	}
}

func TestDifferences(t *testing.T) {
	spec := wish(func(s *v1alpha1.ServerSpec) {
		s.Zone = "z1"
		s.RootDisk = &v1alpha1.Disk{SizeGiB: 20, Tier: "fast", Encryption: v1alpha1.SwitchEnabled}
		s.Disks = []v1alpha1.NamedDisk{{Name: "data", Disk: v1alpha1.Disk{SizeGiB: 100}}, {Name: "log"}}
	})
	m := found(large, func(m *Machine) {
		m.Zone = "z2"
		m.Disks = []MachineDisk{{SizeGiB: 10, Tier: "fast"}, {Name: "data", SizeGiB: 90}}
	})
	want := "size: wanted small, found large; zone: wanted z1, found z2; rootDisk: wanted 20 GiB, fast, encryption Enabled, found 10 GiB, fast, encryption Disabled; " +
		"disks: wanted data 100 GiB, found data 90 GiB; disks: wanted log, found no log"
	if got := DifferenceWords(DriftOf(spec, Differences(spec, m, was))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m.Disks = nil
	spec.IgnoreFields = []v1alpha1.ServerField{v1alpha1.FieldSize, v1alpha1.FieldZone}
	if got := Differences(spec, m, was); got != nil {
		t.Errorf("what the look does not tell, and what is ignored, is no difference: %v", got)
	}
}
