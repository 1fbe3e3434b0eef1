package server

import (
	"context"
	"maps"
	"slices"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
)

// labels are those of the object that its machine carries, and the keys of those that its provider does not take.
func (v *visit) labels() (carried map[string]string, omitted []string) {
	if cloud, ok := provider.As[provider.Labeller](v.door.Provider); ok {
		return cloud.LabelRules().Choose(v.server.Labels)
	}
	return nil, nil
}

// lacks compares a machine's labels with those of the object, where they can be changed.
func (v *visit) lacks(i provider.Instance) (lacks []plan.Label) {
	rules, carries := provider.As[provider.Labeller](v.door.Provider)
	if _, changes := provider.As[provider.Relabeller](v.door.Provider); !carries || !changes {
		return nil
	}
	wanted, _ := v.labels()
	for _, key := range rules.LabelRules().Lacking(wanted, i.Labels) {
		lacks = append(lacks, plan.Label{Key: key, Value: wanted[key]})
	}
	for _, key := range rules.LabelRules().Unwanted(v.server.Status.Labels, wanted, i.Labels) {
		lacks = append(lacks, plan.Label{Key: key, Off: true})
	}
	return lacks
}

// writtenMost bounds the record of labels that were written: all that are wanted, and as many that are going.
const writtenMost = 64

// writes notes which labels are ours, the wanted ones first; who writes them has it recorded before.
func (v *visit) writes(labels map[string]string) {
	all := slices.Sorted(maps.Keys(labels))
	for _, key := range v.server.Status.Labels {
		if _, again := labels[key]; !again && len(all) < writtenMost {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	v.server.Status.Labels = all
}

// forgetLabels takes from the record what is neither wanted nor on the machine: who writes it there from now on is not us. What was written a
// moment ago may not show yet.
func (v *visit) forgetLabels() {
	machine, seen := v.shown[v.server.Status.ID]
	wanted, _ := v.labels()
	if v.door.Provider == nil || !seen || v.r.Kit.Now().Sub(v.r.memory.lastDeed(v.name)) <= v.lag() {
		return
	}
	v.server.Status.Labels = slices.DeleteFunc(slices.Clone(v.server.Status.Labels), func(key string) bool {
		_, wants := wanted[key]
		_, has := machine.Labels[key]
		return !wants && !has
	})
	if len(v.server.Status.Labels) == 0 {
		v.server.Status.Labels = nil
	}
}

// label writes the labels that the machine lacks, and takes off those of ours that it is not to carry any more. Nothing has to be waited
// for: the machine runs on, and what it has now is known.
func (v *visit) label(ctx context.Context, id string) error {
	m, _ := v.recorded()
	add, off := map[string]string{}, []string(nil)
	for _, l := range m.Lacks {
		if l.Off {
			off = append(off, l.Key)
		} else {
			add[l.Key] = l.Value
		}
	}
	v.writes(add)
	if err := reconcile.Record(ctx, v.server); err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	relabeller, _ := provider.As[provider.Relabeller](v.door.Provider)
	var err error
	if len(add) > 0 {
		err = relabeller.SetLabels(calling, id, add)
		v.called(provider.CallSetLabels, err)
	}
	if err == nil && len(off) > 0 {
		err = relabeller.UnsetLabels(calling, id, off)
		v.called(provider.CallUnsetLabels, err)
	}
	v.r.memory.deed(v.name, v.r.Kit.Now()) // a list that began before would show other labels
	v.r.Inventory.Deed(v.door.account.ID)
	if fault.IsGone(err) { // the next look tells whether it is
		return fault.Waiting(fault.ReasonInProgress, changeTime, "machine %s was to be labelled and is not found", id)
	}
	if err != nil {
		return fault.During(err, "labelling machine %s", id)
	}
	now := v.shown[id]
	now.Labels = maps.Clone(now.Labels)
	if now.Labels == nil {
		now.Labels = map[string]string{}
	}
	maps.Copy(now.Labels, add)
	for _, key := range off {
		delete(now.Labels, key)
	}
	v.server.Status.Labels = slices.DeleteFunc(slices.Clone(v.server.Status.Labels), func(key string) bool { return slices.Contains(off, key) })
	v.shown[id] = now
	for at := range v.seen.Machines {
		if v.seen.Machines[at].ID == id {
			v.seen.Machines[at].Lacks = nil
		}
	}
	return nil
}
