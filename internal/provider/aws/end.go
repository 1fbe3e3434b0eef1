package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
)

// Delete terminates an instance of ours; its disks end with it. With the last one go the security group and key pairs that we made.
func (a *AWS) Delete(ctx context.Context, id string) error {
	found, err := a.look(ctx, id)
	if fault.IsGone(err) {
		return a.tidied(ctx, err)
	}
	if err != nil {
		return err
	}
	switch stateOf(found) {
	case types.InstanceStateNameTerminated:
		return a.tidied(ctx, gone(id))
	case types.InstanceStateNameShuttingDown:
		return nil
	}
	_, done, err := a.ends.ask(ctx, id)
	if err == nil && !done {
		return a.tidied(ctx, gone(id))
	}
	return err
}

// terminate ends many by one call. One that does not exist fails the call for all: they are ended one by one then.
func (a *AWS) terminate(ctx context.Context, ids []string) (map[string]struct{}, error) {
	done := map[string]struct{}{}
	_, err := a.api.writes.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
	switch {
	case codeOf(err) == "InvalidInstanceID.NotFound" && len(ids) > 1:
		for _, id := range ids {
			one, err := a.terminate(ctx, []string{id})
			if err != nil {
				return done, err
			}
			for id := range one {
				done[id] = struct{}{}
			}
		}
		return done, nil
	case codeOf(err) == "InvalidInstanceID.NotFound":
		return done, nil
	case err != nil:
		return nil, classify("TerminateInstances", err, fault.Unknown)
	}
	for _, id := range ids {
		a.fresh.ending(id)
		done[id] = struct{}{}
	}
	return done, nil
}
