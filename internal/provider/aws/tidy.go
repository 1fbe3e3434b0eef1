package aws

import (
	"context"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
)

// shared is what this process knows of the groups and key pairs that machines share. Losing it costs calls and nothing else.
type shared struct {
	mu    sync.Mutex
	uses  int  // times that somebody began to look for one, or to make it
	clean bool // none was left at the last look, and nobody has begun since
}

func (s *shared) use() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses, s.clean = s.uses+1, false
}

func (s *shared) state() (uses int, clean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uses, s.clean
}

// removed says that none was left, of those that were used before.
func (s *shared) removed(uses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clean = s.uses == uses
}

// Tidy removes the security groups and key pairs that we made, unless a machine of ours lives: its own end will tidy.
func (a *AWS) Tidy(ctx context.Context) error {
	if _, clean := a.shared.state(); clean {
		return nil
	}
	_, _, err := a.tidies.ask(ctx, struct{}{})
	return fault.During(err, "removing what the machines of this installation shared")
}

// tidied returns the answer once nothing of ours is left that only machines needed, and nil, which is under way, until then.
func (a *AWS) tidied(ctx context.Context, answer error) error {
	switch err := a.Tidy(ctx); {
	case fault.IsWait(err):
		return nil
	case err != nil:
		return err
	}
	return answer
}

func (a *AWS) tidy(ctx context.Context, _ []struct{}) (map[struct{}]struct{}, error) {
	uses, _ := a.shared.state()
	left, err := a.api.reads.DescribeInstances(ctx, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{filter("tag:"+tagInstallation, a.options.Installation), filter("instance-state-name", living...)}, MaxResults: sdk.Int32(5),
	})
	if err != nil || len(left.Reservations) > 0 || deref(left.NextToken) != "" {
		return nil, classify("DescribeInstances", err, fault.Retry)
	}
	if err := a.removeGroups(ctx); err != nil {
		return nil, err
	}
	if err := a.removeKeys(ctx); err != nil {
		return nil, err
	}
	a.shared.removed(uses)
	return nil, nil
}

func (a *AWS) removeGroups(ctx context.Context) error {
	groups, err := a.api.reads.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("tag:"+tagInstallation, a.options.Installation)}})
	if err != nil {
		return classify("DescribeSecurityGroups", err, fault.Retry)
	}
	for _, group := range groups.SecurityGroups {
		a.groups.forget(deref(group.VpcId))
		_, err := a.api.writes.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
		switch codeOf(err) {
		case "DependencyViolation": // a machine that does not show yet, or shows its end too early
			return fault.Waiting(fault.ReasonInProgress, 0, "security group %s is still in use", deref(group.GroupId))
		case "InvalidGroup.NotFound":
			continue
		}
		if err != nil {
			return classify("DeleteSecurityGroup", err, fault.Unknown)
		}
	}
	return nil
}

func (a *AWS) removeKeys(ctx context.Context) error {
	pairs, err := a.api.reads.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: []types.Filter{filter("tag:"+tagInstallation, a.options.Installation)}})
	if err != nil {
		return classify("DescribeKeyPairs", err, fault.Retry)
	}
	for _, pair := range pairs.KeyPairs {
		a.imported.forget(deref(pair.KeyName))
		if _, err := a.api.writes.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: pair.KeyName}); err != nil {
			return classify("DeleteKeyPair", err, fault.Unknown)
		}
	}
	return nil
}
