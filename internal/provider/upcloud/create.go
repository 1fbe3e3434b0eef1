package upcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// attempt is a create call of this process whose server the list may not show yet.
type attempt struct {
	at time.Time
	id string // "" where the reply was lost
}

// Create makes a server, unless there is one with the labels of its Key. UpCloud has no token that would make the call idempotent.
// So one whose reply was lost is followed by another only when the list was still without the server after Options.Settle; until
// then the answer is Unknown. Of the calls of a former process this one knows nothing: see provider.Untokened.
func (u *UpCloud) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	if want.Owner.Installation != u.o.Installation {
		return provider.Instance{}, invalid("owner.installation: this account is open for %.64q", u.o.Installation)
	}
	release, err := u.keys.take(ctx, want.Key)
	if err != nil {
		return provider.Instance{}, err
	}
	defer release()
	if found, err := u.made(ctx, want); err != nil || found.ID != "" {
		return found, err
	}
	order, err := u.order(ctx, want)
	if err != nil {
		return provider.Instance{}, err
	}
	return u.send(ctx, want.Key, order)
}

// made looks for the server of a key. No error and no id: there is certainly none.
func (u *UpCloud) made(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	asked := u.o.Now()
	listed, err := u.pages(ctx, exactly{labelFind, u.find(want.Key)})
	if err != nil {
		return provider.Instance{}, fault.During(err, "looking for the server of this key")
	}
	listed = slices.DeleteFunc(listed, func(s summary) bool {
		return !u.ours(s.Labels) || decode(valueOf(s.Labels, labelKey)) != want.Key
	})
	if len(listed) > 0 {
		return u.choose(ctx, listed)
	}
	u.mu.Lock()
	before, tried := u.attempts[want.Key]
	u.mu.Unlock()
	if tried && before.id != "" {
		switch d, err := u.page(ctx, before.id); {
		case err == nil && u.ours(d.Labels):
			return u.shown(d), nil
		case err != nil && !fault.IsGone(err) && fault.ReasonOf(err) != fault.ReasonUnauthorized:
			return provider.Instance{}, fault.During(err, "reading server %s", before.id)
		}
		u.attempted(want.Key, attempt{}) // it has ended since
		return provider.Instance{}, nil
	}
	if left := u.o.Settle - asked.Sub(before.at); tried && left > 0 {
		return provider.Instance{}, &fault.Error{Class: fault.Unknown, Reason: fault.ReasonOutcomeUnknown, After: left, Err: errors.New(
			"an earlier call to create this server may have had effect: UpCloud is looked through for it before another is sent")}
	}
	return provider.Instance{}, nil
}

// choose returns the one server of a key. Of two the one with the lower UUID is kept, as every process would decide, and the other is
// marked for removal, which goes on with every List. One whose end was asked for counts only when there is no other.
func (u *UpCloud) choose(ctx context.Context, listed []summary) (provider.Instance, error) {
	slices.SortFunc(listed, func(a, b summary) int { return strings.Compare(a.UUID, b.UUID) })
	living := slices.DeleteFunc(slices.Clone(listed), func(s summary) bool { return has(s.Labels, labelEnding) || has(s.Labels, labelTwin) })
	if len(living) == 0 {
		living = listed[:1]
	}
	var twins []string
	for _, twin := range living[1:] {
		if err := u.end(ctx, twin.UUID, upcloud.Label{Key: labelTwin, Value: living[0].UUID}); err != nil && !fault.IsGone(err) && !fault.IsWait(err) {
			return provider.Instance{}, fault.During(err, "removing server %s, which was made twice (%s is kept)", twin.UUID, living[0].UUID)
		}
		twins = append(twins, twin.UUID)
	}
	got := u.attend(ctx, u.recent(ctx, living[0], true))
	if len(twins) > 0 {
		got.Message = provider.Clip(fmt.Sprintf("a call whose reply was lost had made this server twice: %s is kept, %s is removed; %s", got.ID, strings.Join(twins, ", "), got.Message))
	}
	return got, nil
}

// send asks for the server and remembers that it did.
func (u *UpCloud) send(ctx context.Context, key string, order *request.CreateServerRequest) (provider.Instance, error) {
	u.attempted(key, attempt{at: u.o.Now()})
	body, err := json.Marshal(order)
	if err != nil {
		return provider.Instance{}, invalid("the request cannot be written: %w", err)
	}
	reply, err := u.door.Post(ctx, order.RequestURL(), body)
	var d details
	if err == nil {
		if err = json.Unmarshal(reply, &d); err != nil || !isUUID(d.UUID) {
			err = fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "UpCloud's reply to the create call cannot be read (%v)", err)
		}
	}
	if err != nil {
		unsure := attempt{}
		if fault.ClassOf(err) == fault.Unknown {
			unsure.at = u.o.Now() // the settling begins when nobody waits for the reply any more
		}
		u.attempted(key, unsure)
		if says(err, noNetwork...) {
			err = u.explainNetwork(ctx, err, order)
		}
		return provider.Instance{}, explain(err, order)
	}
	u.attempted(key, attempt{at: u.o.Now(), id: d.UUID})
	u.saw(d.UUID)
	return u.shown(d), nil
}

// attempted remembers the last create call of a key; the zero attempt is none. Old ones are dropped.
func (u *UpCloud) attempted(key string, a attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for other, old := range u.attempts {
		if u.o.Now().Sub(old.at) > 4*u.o.Settle {
			delete(u.attempts, other)
		}
	}
	if a.at.IsZero() {
		delete(u.attempts, key)
		return
	}
	u.attempts[key] = a
}

// explain gives the refusals of a create call that a person can mend the name of our own field.
func explain(err error, order *request.CreateServerRequest) error {
	field := ""
	switch {
	case says(err, upcloud.ErrCodeZoneInvalid, upcloud.ErrCodeZoneNotFound):
		field = fmt.Sprintf("zone %q", order.Zone)
	case says(err, "PLAN_INVALID", "PLAN_NOT_FOUND", upcloud.ErrCodePlanCoreNumberIllegal, upcloud.ErrCodePlanMemoryAmountIllegal):
		field = fmt.Sprintf("size %q", order.Plan)
	case says(err, upcloud.ErrCodeStorageNotFound, upcloud.ErrCodeStorageInvalid, upcloud.ErrCodeStorageForbidden):
		field = fmt.Sprintf("image %q", order.StorageDevices[0].Storage)
	case says(err, noNetwork...):
		field = "network.privateNetworks: a network must exist and be of the server's zone"
	case says(err, "SERVER_GROUP_NOT_FOUND", "GROUP_NOT_FOUND", "SERVER_GROUP_INVALID"):
		field = fmt.Sprintf("serverGroup %q", order.ServerGroup)
	case says(err, upcloud.ErrCodeUserDataInvalid):
		field = "userData"
	}
	class := fault.ClassOf(err)
	if field != "" && (class == fault.Gone || class == fault.Terminal || class == fault.Retry) {
		return &fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, Doing: field, Err: errors.Unwrap(err)}
	}
	if class == fault.Gone { // something that the order names is not there; the machine itself was never asked for
		return &fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, Doing: "creating the server", Err: errors.Unwrap(err)}
	}
	return fault.During(err, "creating the server")
}
