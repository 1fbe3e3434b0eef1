package server

import (
	"context"
	"maps"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
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
	return lacks
}

// label writes the labels that the machine lacks. Nothing has to be waited for: the machine runs on, and what it has now is known.
func (v *visit) label(ctx context.Context, id string) error {
	m, _ := v.recorded()
	add := map[string]string{}
	for _, l := range m.Lacks {
		add[l.Key] = l.Value
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	relabeller, _ := provider.As[provider.Relabeller](v.door.Provider)
	err := relabeller.SetLabels(calling, id, add)
	v.called(provider.CallSetLabels, err)
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
	v.shown[id] = now
	for at := range v.seen.Machines {
		if v.seen.Machines[at].ID == id {
			v.seen.Machines[at].Lacks = nil
		}
	}
	return nil
}
