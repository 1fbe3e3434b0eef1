package upcloud

import (
	"context"

	"github.com/keelway/keelway/internal/fault"
)

// SetLabels writes labels of people onto a server of ours. All labels of a server are written at once: those of our identity, and what
// others wrote, are written as they are.
func (u *UpCloud) SetLabels(ctx context.Context, id string, labels map[string]string) error {
	all, err := peoples(labels)
	if err != nil {
		return err
	}
	release, err := u.ids.take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	d, err := u.read(ctx, id)
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, label := range d.Labels {
		have[label.Key] = label.Value
	}
	if len(u.LabelRules().Lacking(labels, have)) == 0 {
		return nil
	}
	_, err = u.relabel(ctx, d, with(d.Labels, all))
	return fault.During(err, "labels of server %s", id)
}

// UnsetLabels takes labels of people away from a server of ours, and writes all others as they are.
func (u *UpCloud) UnsetLabels(ctx context.Context, id string, keys []string) error {
	named := map[string]string{}
	for _, key := range keys {
		named[key] = ""
	}
	if _, err := peoples(named); err != nil {
		return err
	}
	release, err := u.ids.take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	d, err := u.read(ctx, id)
	if err != nil {
		return err
	}
	kept := with(d.Labels, nil, keys...)
	if len(kept) == len(with(d.Labels, nil)) {
		return nil
	}
	_, err = u.relabel(ctx, d, kept)
	return fault.During(err, "labels of server %s", id)
}
