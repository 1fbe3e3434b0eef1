package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// providersDefault is what a machine has of which neither the spec it was made from nor the provider tells more.
const providersDefault = "the provider's default"

// Difference is one field in which a machine is not what its Server wants.
type Difference struct {
	Field  v1alpha1.ServerField
	Wanted string
	Found  string
	// Change says that the wish is new: the machine was never made with it or changed to it. Otherwise another hand was at work.
	Change bool
}

// Differences compares a machine with what is wanted of it, in order of fields. What the spec leaves to the provider and what the
// look does not tell is no difference; nor are fields that are to be ignored.
func Differences(spec v1alpha1.ServerSpec, m Machine, was v1alpha1.ServerApplied) []Difference {
	var all []Difference
	add := func(field v1alpha1.ServerField, wanted, found string, change bool) {
		if wanted != "" && found != "" && wanted != found && !slices.Contains(spec.IgnoreFields, field) {
			all = append(all, Difference{Field: field, Wanted: wanted, Found: found, Change: change})
		}
	}
	if found := cmp.Or(m.Size, was.Size, providersDefault); m.Size != "" || spec.Size != was.Size {
		add(v1alpha1.FieldSize, spec.Size, found, spec.Size != was.Size)
	}
	add(v1alpha1.FieldZone, spec.Zone, m.Zone, false)
	if spec.Image != was.Image { // otherwise an alias and the id that it stood for, and nobody changes an image in place
		add(v1alpha1.FieldImage, spec.Image, cmp.Or(m.Image, was.Image, providersDefault), true)
	}
	if len(m.Disks) > 0 {
		if spec.RootDisk != nil {
			wanted, found := diskWords(*spec.RootDisk, m.Disks[0])
			add(v1alpha1.FieldRootDisk, wanted, found, false)
		}
		for _, d := range spec.Disks {
			at := slices.IndexFunc(m.Disks, func(have MachineDisk) bool { return have.Name == d.Name })
			wanted, found := d.Name, "no "+d.Name
			if at >= 0 {
				wanted, found = diskWords(d.Disk, m.Disks[at])
				wanted, found = d.Name+" "+wanted, d.Name+" "+found
			}
			add(v1alpha1.FieldDisks, wanted, found, false)
		}
	}
	if len(m.Lacks) > 0 {
		words := make([]string, len(m.Lacks))
		for i, l := range m.Lacks {
			words[i] = l.Key + "=" + l.Value
			if l.Off {
				words[i] = "no " + l.Key
			}
		}
		add(v1alpha1.FieldLabels, someNames(words), "other labels", false)
	}
	power := orRunning(spec.Power)
	add(v1alpha1.FieldPower, string(power), string(m.State), power != was.Power)
	return all
}

// diskWords says in how far a disk is what is wanted: the same words on both sides when it is.
func diskWords(want v1alpha1.Disk, have MachineDisk) (wanted, found string) {
	var w, f []string
	if want.SizeGiB != 0 {
		w, f = append(w, fmt.Sprintf("%d GiB", want.SizeGiB)), append(f, fmt.Sprintf("%d GiB", have.SizeGiB))
	}
	if want.Tier != "" {
		w, f = append(w, want.Tier), append(f, have.Tier)
	}
	if want.Encryption != "" {
		have := map[bool]v1alpha1.Switch{true: v1alpha1.SwitchEnabled, false: v1alpha1.SwitchDisabled}[have.Encrypted]
		w, f = append(w, "encryption "+string(want.Encryption)), append(f, "encryption "+string(have))
	}
	return strings.Join(w, ", "), strings.Join(f, ", ")
}

// DriftOf returns the differences that another hand made and that people are to hear of.
func DriftOf(spec v1alpha1.ServerSpec, all []Difference) []Difference {
	if spec.DriftPolicy == v1alpha1.DriftIgnore {
		return nil
	}
	var drifted []Difference
	for _, d := range all {
		if !d.Change {
			drifted = append(drifted, d)
		}
	}
	return drifted
}

// DifferenceWords tells differences to people: field, wanted, found.
func DifferenceWords(all []Difference) string {
	words := make([]string, len(all))
	for i, d := range all {
		words[i] = fmt.Sprintf("%s: wanted %s, found %s", d.Field, d.Wanted, d.Found)
	}
	return strings.Join(words, "; ")
}

// FirstApplied is what a machine has that was just seen up for the first time: one of ours was made as it was wanted and is running;
// one that was adopted is taken for what is wanted, so that what differs is drift and no change.
func FirstApplied(spec v1alpha1.ServerSpec, adopted bool) v1alpha1.ServerApplied {
	first := v1alpha1.ServerApplied{Size: spec.Size, Image: spec.Image, Power: v1alpha1.PowerRunning}
	if adopted {
		first.Power = orRunning(spec.Power)
	}
	return first
}

// Applied returns what the machine turned out to have of what is wanted: a wish that it does not have yet stays what it was.
func Applied(spec v1alpha1.ServerSpec, m Machine, was v1alpha1.ServerApplied) v1alpha1.ServerApplied {
	now := v1alpha1.ServerApplied{Size: spec.Size, Image: spec.Image, Power: orRunning(spec.Power)}
	for _, d := range Differences(spec, m, was) {
		switch d.Field {
		case v1alpha1.FieldSize:
			now.Size = was.Size
		case v1alpha1.FieldImage:
			now.Image = was.Image
		case v1alpha1.FieldPower:
			now.Power = was.Power
		}
	}
	return now
}

// tend makes of a machine that is there what is wanted of it, as far as that can be done in place, one step a walk. What cannot be
// done is told and not done: a change stops the Server, a drift is told by the condition Drifted.
func (seen ServerSeen) tend(spec v1alpha1.ServerSpec, m Machine) []ServerAction {
	if seen.Applied == nil {
		return serverDo(ServerNote, m.ID)
	}
	differ := map[v1alpha1.ServerField]Difference{}
	for _, d := range Differences(spec, m, *seen.Applied) {
		if d.Change || orCorrect(spec.DriftPolicy) == v1alpha1.DriftCorrect {
			differ[d.Field] = d
		}
	}
	if _, ok := differ[v1alpha1.FieldLabels]; ok && seen.Can.Label {
		return serverDo(ServerLabel, m.ID)
	}
	if image, ok := differ[v1alpha1.FieldImage]; ok && image.Change {
		return seen.exchange(spec, m, image)
	}
	if size, ok := differ[v1alpha1.FieldSize]; ok {
		switch {
		case seen.Can.Resize && m.State == MachineStopped:
			return serverDo(ServerResize, m.ID)
		case seen.Can.Resize && seen.Can.Power:
			return serverDo(ServerStop, m.ID)
		case size.Change:
			return seen.exchange(spec, m, size)
		}
	}
	_, power := differ[v1alpha1.FieldPower]
	switch {
	case !power && m.State == MachineStopped && orRunning(spec.Power) == v1alpha1.PowerRunning && !slices.Contains(spec.IgnoreFields, v1alpha1.FieldPower):
		return serverWait(fault.ReasonDrifted, time.Hour, "machine %s is powered off, and not by our hand: start it at the provider, or set driftPolicy to %s", m.ID, v1alpha1.DriftCorrect)
	case power && !seen.Can.Power && m.State == MachineStopped:
		return serverWait(fault.ReasonInProgress, 30*time.Second, "machine %s is powered off, and Keelway cannot start machines of this provider: start it there", m.ID)
	case power && !seen.Can.Power:
		return serverStop(fault.ReasonChangeRefused, "power: Keelway cannot switch off machines of this provider: set it back to %s", v1alpha1.PowerRunning)
	case power && m.State == MachineStopped:
		return serverDo(ServerStart, m.ID)
	case power:
		return serverDo(ServerStop, m.ID)
	case m.State == MachineStopped:
		return serverWait(fault.Reason(v1alpha1.ReasonStopped), time.Hour, "machine %s is powered off, as wanted", m.ID)
	}
	return serverDo(ServerNone, m.ID)
}

// exchange replaces a machine that cannot be changed in place, where that is allowed.
func (seen ServerSeen) exchange(spec v1alpha1.ServerSpec, m Machine, d Difference) []ServerAction {
	what := DifferenceWords([]Difference{d})
	switch {
	case spec.UpdatePolicy != v1alpha1.UpdateReplaceAllowed:
		return serverStop(fault.ReasonChangeRefused, "%s: that cannot be changed in place: set it back, or set updatePolicy to %s, which makes another machine and ends this one with all that is on it", what, v1alpha1.UpdateReplaceAllowed)
	case spec.DeletionProtection == v1alpha1.SwitchEnabled:
		return serverStop(fault.ReasonChangeRefused, "%s: that takes another machine, and deletionProtection keeps this one: set it back, or set deletionProtection to %s", what, v1alpha1.SwitchDisabled)
	}
	return serverReplace(m.ID, "%s", what)
}

func serverReplace(id, format string, args ...any) []ServerAction {
	return []ServerAction{{Do: ServerReplace, ID: id, Text: fmt.Sprintf(format, args...)}}
}

func orRunning(p v1alpha1.Power) v1alpha1.Power {
	if p == "" {
		return v1alpha1.PowerRunning
	}
	return p
}

func orCorrect(p v1alpha1.DriftPolicy) v1alpha1.DriftPolicy {
	if p == "" {
		return v1alpha1.DriftCorrect
	}
	return p
}
