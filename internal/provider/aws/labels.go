package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
)

// SetLabels writes tags of people onto an instance of ours. Its disks keep those that they were made with.
func (a *AWS) SetLabels(ctx context.Context, id string, labels map[string]string) error {
	if err := checkLabels(labels); err != nil {
		return err
	}
	found, err := a.look(ctx, id)
	if err != nil {
		return err
	}
	var lacking []types.Tag
	for _, key := range a.LabelRules().Lacking(labels, read(found.Tags)) {
		lacking = append(lacking, tag(key, labels[key]))
	}
	if len(lacking) == 0 {
		return nil
	}
	if _, err := a.api.writes.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: lacking}); err != nil {
		return fault.During(classify("CreateTags", err, fault.Unknown), "labels")
	}
	found.Tags = merged(found.Tags, lacking)
	a.fresh.keep(found)
	return nil
}

// UnsetLabels takes tags of people away from an instance of ours.
func (a *AWS) UnsetLabels(ctx context.Context, id string, keys []string) error {
	named := map[string]string{}
	for _, key := range keys {
		named[key] = ""
	}
	if err := checkLabels(named); err != nil {
		return err
	}
	found, err := a.look(ctx, id)
	if err != nil {
		return err
	}
	var kept, gone []types.Tag
	for _, t := range found.Tags {
		if slices.Contains(keys, deref(t.Key)) {
			gone = append(gone, types.Tag{Key: t.Key}) // whatever its value
		} else {
			kept = append(kept, t)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if _, err := a.api.writes.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{id}, Tags: gone}); err != nil {
		return fault.During(classify("DeleteTags", err, fault.Unknown), "labels")
	}
	found.Tags = kept
	a.fresh.keep(found)
	return nil
}
