package aws

import (
	"context"
	"errors"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Create launches a machine. What carries the key already is found by its tag; what was asked for and does not show yet is found by the
// client token, which EC2 itself holds to one launch.
func (a *AWS) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	if err := a.checkOwner(want.Owner); err != nil {
		return provider.Instance{}, err
	}
	if found, err := a.carrying(ctx, want.Key, want.Former); err != nil || found != nil {
		return deref(found), err
	}
	in, err := a.prepare(ctx, want)
	if err != nil {
		return provider.Instance{}, err
	}
	in.MinCount, in.MaxCount = sdk.Int32(1), sdk.Int32(1)
	mark(in, want, append(identityTags(want.Key, want.Owner), namedFor(want.Owner, want.Labels)...)...)
	kind, token := "token", want.Token
	if token == "" {
		kind, token = "key", want.Key
	}
	made, err := a.launch(ctx, in, func(n int) string { return clientToken(a.options.Installation, kind, token, n) })
	if err != nil {
		return provider.Instance{}, a.refused(ctx, want, in, err)
	}
	for _, i := range made {
		a.fresh.keep(i)
	}
	return a.shown(made[0]), nil
}

// checkOwner refuses to make what this account's installation would never find again.
func (a *AWS) checkOwner(owner provider.Owner) error {
	if owner.Installation != a.options.Installation {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "owner.installation is %.64q, and this account is opened for %.64q", owner.Installation, a.options.Installation)
	}
	return nil
}

// carrying returns the machine that carries the key, one that lives before one that ends, or nil. The former one does not count.
func (a *AWS) carrying(ctx context.Context, key, former string) (*provider.Instance, error) {
	found, _, err := a.byKey.ask(ctx, key)
	if err != nil {
		return nil, err
	}
	var alive, ending []types.Instance
	for _, i := range found {
		switch {
		case deref(i.InstanceId) == former:
		case states[stateOf(i)] == provider.Terminating:
			ending = append(ending, i)
		default:
			alive = append(alive, i)
		}
	}
	switch {
	case len(alive) > 1:
		return nil, fault.New(fault.Terminal, fault.ReasonIdentityConflict, "%d machines carry the key %.128s, among them %s and %s: delete those that are not wanted",
			len(alive), key, deref(alive[0].InstanceId), deref(alive[1].InstanceId))
	case len(alive) == 1:
		shown := a.shown(alive[0])
		return &shown, nil
	case len(ending) > 0:
		shown := a.shown(ending[0])
		return &shown, nil
	}
	return nil, nil
}

// tokens is what this process knows of client tokens. Losing it costs calls and nothing else.
type tokens struct {
	mu         sync.Mutex
	ended      map[string]bool      // whose machines have ended: AWS refuses them
	mismatched map[string]time.Time // which stand for other parameters, since when no machine of theirs shows
}

// attempts bounds how many ended machines of one name a single call walks past. What it has learned, the next call knows.
const attempts = 16

// launch makes the call with the first token of a row whose machine has not ended. It returns at least one instance.
func (a *AWS) launch(ctx context.Context, in *ec2.RunInstancesInput, token func(n int) string) ([]types.Instance, error) {
	tried := 0
	for n := 0; tried < attempts; n++ {
		name := token(n)
		a.tokens.mu.Lock()
		ended := a.tokens.ended[name]
		a.tokens.mu.Unlock()
		if ended {
			continue
		}
		tried++
		in.ClientToken = sdk.String(name)
		out, err := a.api.launches.RunInstances(ctx, in)
		switch {
		case err == nil && len(out.Instances) > 0:
			return out.Instances, nil
		case err == nil:
			return nil, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "RunInstances: the reply holds no instance")
		case codeOf(err) == "IdempotentInstanceTerminated":
			a.hasEnded(name)
			continue
		case codeOf(err) != "IdempotentParameterMismatch":
			return nil, classify("RunInstances", err, fault.Unknown)
		}
		found, err := a.mismatched(ctx, name, int(deref(in.MaxCount)))
		if err != nil || found != nil {
			return found, err
		}
	}
	return nil, fault.New(fault.Retry, fault.ReasonConflict, "RunInstances: %d machines of this name have ended; going on with the next", attempts)
}

func (a *AWS) hasEnded(token string) {
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	if len(a.tokens.ended) >= 1<<16 {
		clear(a.tokens.ended)
	}
	a.tokens.ended[token] = true
}

// mismatched resolves a token that was used with other parameters: an image's alias has moved on, user data was changed, and the reply
// was lost before. The machine that it made is found by the token. While none shows, nobody knows; when none has shown for long
// enough, the token stands for a machine that has ended or was never made, and the next one is free.
func (a *AWS) mismatched(ctx context.Context, token string, most int) ([]types.Instance, error) {
	found, err := a.describe(ctx, filter("client-token", token))
	if err != nil {
		return nil, err
	}
	var alive []types.Instance
	for _, i := range found {
		if stateOf(i) != types.InstanceStateNameTerminated {
			alive = append(alive, i)
		}
	}
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	now := a.options.Now()
	since, waits := a.tokens.mismatched[token]
	if !waits {
		since = now
		a.tokens.mismatched[token] = now
	}
	switch {
	case len(alive) >= most, len(alive) > 0 && now.Sub(since) >= settle:
		delete(a.tokens.mismatched, token)
		return alive, nil
	case len(found) > 0 && len(alive) == 0, now.Sub(since) >= settle:
		delete(a.tokens.mismatched, token)
		if len(a.tokens.ended) < 1<<16 {
			a.tokens.ended[token] = true
		}
		return nil, nil
	}
	return nil, &fault.Error{Class: fault.Unknown, Reason: fault.ReasonOutcomeUnknown, After: settle / 8,
		Err: errors.New("RunInstances: the token of this launch was used with other parameters, and what it made does not show yet")}
}
