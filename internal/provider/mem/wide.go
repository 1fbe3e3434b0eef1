package mem

import (
	"context"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Wide is a cloud that besides makes many machines by one call and has a price list.
type Wide struct {
	*Cloud
	Prices   map[string]string // by size, an hour; a size that is missing has no known price
	Currency string
	AsOf     time.Time
	// Unlabelled keeps CreateMany from labelling what it makes, as if the caller had died in between: only the launch tells.
	Unlabelled bool
	// Most machines that one call makes: the rest is a partial fulfilment. 0: all.
	Most int
}

var (
	_ provider.Batcher = (*Wide)(nil)
	_ provider.Pricer  = (*Wide)(nil)
)

// CreateMany makes one machine for each member, under a token that is looked up first.
func (w *Wide) CreateMany(ctx context.Context, batch provider.Batch) ([]provider.Instance, error) {
	order, err := w.meet(ctx, CreateMany)
	if err != nil {
		return nil, w.noted(Entry{Verb: CreateMany, Key: batch.Token}, err)
	}
	if err := validMembers(batch); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.advance()
	entry := Entry{Verb: CreateMany, Key: batch.Token}
	if err := w.check(batch.Shape); err != nil {
		w.log.add(w.options.LogLimit, now, entry, err)
		return nil, err
	}
	digest := batchDigest(batch)
	if before, ok := w.batches[batch.Token]; ok && before != digest {
		err := fault.New(fault.Terminal, fault.ReasonInvalid, "token %s was used with other members or another shape", quote(batch.Token))
		w.log.add(w.options.LogLimit, now, entry, err)
		return nil, err
	} else if !ok {
		w.batches[batch.Token], entry.Effect = digest, true
		w.launch(batch, now, order)
	}
	var made []provider.Instance
	for i, member := range batch.Members {
		if m := w.launched(provider.Launch{Token: batch.Token, Index: i}); m != nil {
			if !w.Unlabelled {
				w.label(m, member)
			}
			made = append(made, w.show(m, now))
		}
	}
	if order != nil && order.What == ReplyLost {
		made, err = nil, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the reply to the call was lost")
	}
	w.log.add(w.options.LogLimit, now, entry, err)
	return made, err
}

func (w *Wide) launch(batch provider.Batch, now time.Time, order *Order) {
	for i, member := range batch.Members {
		if w.Most > 0 && i >= w.Most {
			return
		}
		want := batch.Shape
		want.Key, want.Owner = "", provider.Owner{Installation: member.Owner.Installation}
		m := w.build(want, now, order)
		m.instance.Launch = provider.Launch{Token: batch.Token, Index: i}
	}
}

func (w *Wide) launched(launch provider.Launch) *machine {
	for _, m := range w.machines {
		if m.instance.Launch == launch {
			return m
		}
	}
	return nil
}

func (w *Wide) label(m *machine, member provider.Member) {
	if m.instance.Key == member.Key {
		return
	}
	m.instance.Key, m.instance.Owner = member.Key, member.Owner
	w.byKey[member.Key] = m
	w.log.witness(m, w.newest)
}

// Price is that of the size in the list.
func (w *Wide) Price(_ context.Context, want provider.Machine) (provider.Cost, error) {
	cost := provider.Cost{Currency: w.Currency, Source: "the price list of the simulated cloud", AsOf: w.AsOf}
	size := first(want.Size, w.options.Sizes)
	if hourly, ok := w.Prices[size]; ok {
		cost.Components = []provider.Component{{Name: size, Hourly: hourly}}
	}
	return cost, nil
}

func validMembers(batch provider.Batch) error {
	if batch.Token == "" || len(batch.Members) == 0 {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "a batch has a token and members")
	}
	for _, member := range batch.Members {
		if err := (provider.Machine{Key: member.Key, Owner: member.Owner}).Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Untokened is a cloud that knows no tokens: a Create finds an earlier machine of its Key only when that shows already.
type Untokened struct {
	*Cloud
	Hides time.Duration // what Settle says
}

var _ provider.Untokened = (*Untokened)(nil)

// Settle implements provider.Untokened.
func (u *Untokened) Settle() time.Duration { return u.Hides }

// Create looks for the key among what shows, and makes another machine when it is not there.
func (u *Untokened) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	u.mu.Lock()
	now := u.advance()
	if m := u.byKey[want.Key]; m != nil && now.Before(m.hiddenUntil) {
		delete(u.byKey, want.Key)
	}
	u.mu.Unlock()
	return u.Cloud.Create(ctx, want)
}

// batchDigest tells batches apart.
func batchDigest(batch provider.Batch) string {
	keys := make([]string, 0, len(batch.Members)+3)
	keys = append(keys, batch.Shape.Size, batch.Shape.Zone, batch.Shape.Image)
	for _, member := range batch.Members {
		keys = append(keys, member.Key)
	}
	return quoteAll(keys)
}
