package aws

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Power starts or stops an instance of ours, where that is not so or under way already.
func (a *AWS) Power(ctx context.Context, id string, want provider.Power) error {
	found, err := a.look(ctx, id)
	if err != nil {
		return err
	}
	state := stateOf(found)
	switch {
	case state == types.InstanceStateNameTerminated:
		return gone(id)
	case state == types.InstanceStateNameShuttingDown:
		return fault.Waiting(fault.ReasonInProgress, 0, "instance %s is ending", id)
	case want == provider.PowerOn && state == types.InstanceStateNameStopped:
		_, err := a.api.writes.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}})
		return classify("StartInstances", err, fault.Unknown)
	case want == provider.PowerOff && state == types.InstanceStateNameRunning:
		_, err := a.api.writes.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
		return classify("StopInstances", err, fault.Unknown)
	case want == provider.PowerOn && state == types.InstanceStateNameStopping, want == provider.PowerOff && state == types.InstanceStateNamePending:
		return fault.Waiting(fault.ReasonInProgress, 0, "instance %s is %s", id, state)
	}
	return nil
}

// Resize changes the type of a stopped instance of ours. It makes nothing on the way.
func (a *AWS) Resize(ctx context.Context, id, size string) error {
	found, err := a.look(ctx, id)
	if err != nil {
		return err
	}
	if stateOf(found) == types.InstanceStateNameTerminated {
		return gone(id)
	}
	if string(found.InstanceType) == size {
		return nil
	}
	if _, err := a.architecture(ctx, size); err != nil {
		return err
	}
	if state := stateOf(found); state != types.InstanceStateNameStopped {
		return fault.Waiting(fault.ReasonInProgress, 0, "instance %s is %s: only a stopped one changes its type", id, state)
	}
	_, err = a.api.writes.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{
		InstanceId: sdk.String(id), InstanceType: &types.AttributeValue{Value: sdk.String(size)},
	})
	err = classify("ModifyInstanceAttribute", err, fault.Unknown)
	if fault.ReasonOf(err) == fault.ReasonInvalid {
		return fault.During(err, "size: instance %s cannot become %.64s", id, size)
	}
	return err
}

// Adopt writes our identity onto an instance that has none, that of an earlier object of the same name, or that of a launch of many
// whose members were not tagged.
func (a *AWS) Adopt(ctx context.Context, id, key string, owner provider.Owner) (provider.Instance, error) {
	if err := (provider.Machine{Key: key, Owner: owner}).Validate(); err != nil {
		return provider.Instance{}, err
	}
	if !instanceID.MatchString(id) {
		return provider.Instance{}, gone(id)
	}
	found, seen, err := a.byID.ask(ctx, id)
	if err != nil {
		return provider.Instance{}, err
	}
	if !seen || states[stateOf(found)] == provider.Terminating {
		return provider.Instance{}, gone(id)
	}
	found = a.fresh.complete(found)
	carried := read(found.Tags)
	other, launched := carried.owner(), carried[tagLaunch] != "" && carried[tagKey] == ""
	sameName := other.Installation == owner.Installation && (launched || other.Namespace == owner.Namespace && other.Name == owner.Name)
	if other.Installation != "" && !sameName {
		return provider.Instance{}, fault.New(fault.Terminal, fault.ReasonIdentityConflict, "instance %s belongs to %.64s/%.64s of installation %.64s already",
			id, other.Namespace, other.Name, other.Installation)
	}
	identity := identityTags(key, owner)
	if carried[tagKey] != key || other != owner {
		if _, err := a.api.writes.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: identity}); err != nil {
			return provider.Instance{}, classify("CreateTags", err, fault.Unknown)
		}
		found.Tags = merged(found.Tags, identity)
		a.fresh.keep(found)
	}
	return a.shown(found), nil
}

// merged returns the tags with some of them written anew.
func merged(have, written []types.Tag) []types.Tag {
	all := read(have)
	for key, value := range read(written) {
		all[key] = value
	}
	var list []types.Tag
	for _, key := range sortedKeys(all) {
		list = append(list, tag(key, all[key]))
	}
	return list
}
