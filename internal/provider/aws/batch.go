package aws

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

const (
	batchLimit = 1000 // machines: what a full bucket of RunInstances holds
	tagsAtOnce = 8    // calls
	tagsWithin = 90 * time.Second
)

// CreateMany launches one machine for each member by a single RunInstances. AWS numbers what one call makes, and that number, not a tag,
// decides whose an instance is: so a call that was cut off at any point is mended by repeating it. The members' own tags are written
// afterwards, as fast as AWS admits: ten a second. Whatever goes wrong once there are machines is Unknown: the same batch is to be asked
// for again, and nobody may think that nothing was made.
func (a *AWS) CreateMany(ctx context.Context, batch provider.Batch) ([]provider.Instance, error) {
	if err := checkBatch(batch); err != nil {
		return nil, err
	}
	if err := a.checkOwner(batch.Members[0].Owner); err != nil {
		return nil, err
	}
	if err := notSent(ctx); err != nil {
		return nil, err
	}
	token := clientToken(a.options.Installation, "batch", batch.Token, 0)
	made, known := a.launched.get(token)
	if !known {
		var err error
		if made, err = a.launchMany(ctx, batch, token); err != nil {
			return nil, a.unsure(ctx, token, err)
		}
		a.launched.keep(token, made)
	}
	return a.distribute(ctx, batch, token, made)
}

func checkBatch(batch provider.Batch) error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
	}
	if batch.Token == "" || len(batch.Token) > valueLimit || len(batch.Members) == 0 || len(batch.Members) > batchLimit {
		return invalid("a batch has a token of at most %d bytes and 1 to %d members: this one has %d and %d", valueLimit, batchLimit, len(batch.Token), len(batch.Members))
	}
	keys := map[string]bool{}
	for _, member := range batch.Members {
		one := batch.Shape
		one.Key, one.Owner = member.Key, member.Owner
		if err := one.Validate(); err != nil {
			return err
		}
		if keys[member.Key] || member.Owner.Installation != batch.Members[0].Owner.Installation {
			return invalid("a batch has members of one installation, each once: key %.128q", member.Key)
		}
		keys[member.Key] = true
	}
	return nil
}

func (a *AWS) launchMany(ctx context.Context, batch provider.Batch, token string) ([]types.Instance, error) {
	in, err := a.prepare(ctx, batch.Shape)
	if err != nil {
		return nil, err
	}
	in.MinCount, in.MaxCount, in.ClientToken = sdk.Int32(1), sdk.Int32(int32(len(batch.Members))), sdk.String(token)
	mark(in, batch.Shape, tag(tagInstallation, a.options.Installation), tag(tagLaunch, batch.Token))
	out, err := a.api.launches.RunInstances(ctx, in)
	switch codeOf(err) {
	case "IdempotentInstanceTerminated": // all of them have ended
		return nil, nil
	case "IdempotentParameterMismatch":
		return a.mismatched(ctx, token, len(batch.Members))
	}
	if err != nil {
		return nil, a.refused(ctx, batch.Shape, in, classify("RunInstances", err, fault.Unknown))
	}
	return out.Instances, nil
}

// unsure keeps a refusal from being read as "nothing was made" where an earlier call with this token may have made machines: by this
// process, which never heard the answer, or by one that is gone.
func (a *AWS) unsure(ctx context.Context, token string, err error) error {
	if fault.ClassOf(err) == fault.Unknown {
		a.launched.doubt(token)
		return err
	}
	doubtful := a.launched.doubted(token)
	if !doubtful {
		found, looked := a.describe(ctx, filter("client-token", token))
		doubtful = looked == nil && len(found) > 0
	}
	if !doubtful {
		return err
	}
	return &fault.Error{Class: fault.Unknown, Reason: fault.ReasonOutcomeUnknown, After: fault.AfterOf(err), Doing: "repeating a launch that may have made machines", Err: err}
}

// distribute gives each instance to the member of its number and writes the tags that say so, for those that do not have them.
func (a *AWS) distribute(ctx context.Context, batch provider.Batch, token string, made []types.Instance) ([]provider.Instance, error) {
	var all []types.Instance
	var untagged []int
	for _, i := range made {
		n := int(deref(i.AmiLaunchIndex))
		if stateOf(i) == types.InstanceStateNameTerminated || n >= len(batch.Members) {
			continue
		}
		i = a.fresh.complete(i)
		member := batch.Members[n]
		switch carried := read(i.Tags)[tagKey]; {
		case carried == "":
			untagged = append(untagged, len(all))
		case carried != member.Key:
			return nil, fault.New(fault.Terminal, fault.ReasonIdentityConflict, "instance %s was made for member %d of this batch and carries the key %.128s: the batch was changed after it was asked for",
				deref(i.InstanceId), n, carried)
		}
		all = append(all, i)
	}
	if err := a.tagMembers(ctx, batch, all, untagged); err != nil {
		a.launched.keep(token, all)
		if fault.IsGone(err) { // one ended meanwhile: the launch itself must be looked at again
			a.launched.forget(token)
		}
		return nil, &fault.Error{Class: fault.Unknown, Reason: fault.ReasonOutcomeUnknown, After: fault.AfterOf(err), Err: err}
	}
	a.launched.forget(token)
	shown := make([]provider.Instance, 0, len(all))
	for _, i := range all {
		shown = append(shown, a.shown(i))
	}
	return shown, nil
}

// tagMembers writes tags and, into the list, what it has written. A throttled call is repeated when AWS admits it; another refusal ends
// it, but cuts no call off that is under way, since each is progress.
func (a *AWS) tagMembers(ctx context.Context, batch provider.Batch, all []types.Instance, untagged []int) error {
	ctx, cancel := context.WithTimeout(ctx, tagsWithin)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(tagsAtOnce)
	var refused atomic.Bool
	for _, at := range untagged {
		if refused.Load() {
			break
		}
		group.Go(func() error {
			tags, err := a.tagMember(ctx, batch, all[at])
			for fault.ReasonOf(err) == fault.ReasonRateLimited && err != nil {
				if err := a.options.Pause(ctx, max(fault.AfterOf(err), 100*time.Millisecond)); err != nil {
					break
				}
				tags, err = a.tagMember(ctx, batch, all[at])
			}
			if err != nil {
				refused.Store(true)
				return err
			}
			all[at].Tags = tags
			a.fresh.keep(all[at])
			return nil
		})
	}
	err := group.Wait()
	return fault.During(err, "tagging the %d machines of this batch, which are made", len(all))
}

// tagMember returns all tags that the instance has then.
func (a *AWS) tagMember(ctx context.Context, batch provider.Batch, i types.Instance) ([]types.Tag, error) {
	member := batch.Members[deref(i.AmiLaunchIndex)]
	added := append(identityTags(member.Key, member.Owner), namedFor(member.Owner, batch.Shape.Labels)...)
	if _, err := a.api.writes.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{deref(i.InstanceId)}, Tags: added}); err != nil {
		return nil, classify("CreateTags", err, fault.Unknown)
	}
	return merged(i.Tags, added), nil
}

// launches are the instances of launches whose tags are not all written yet. Losing them costs one repeated call.
type launches struct {
	mu     sync.Mutex
	all    map[string][]types.Instance
	doubts map[string]bool // launches whose answer was never heard
}

func (l *launches) doubt(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubts[token] = true
}

func (l *launches) doubted(token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doubts[token]
}

func (l *launches) get(token string) ([]types.Instance, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	made, ok := l.all[token]
	return append([]types.Instance(nil), made...), ok
}

func (l *launches) keep(token string, made []types.Instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) >= 64 { // batches that nobody asks for any more
		clear(l.all)
	}
	l.all[token] = append([]types.Instance(nil), made...)
	delete(l.doubts, token)
}

func (l *launches) forget(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, token)
}
