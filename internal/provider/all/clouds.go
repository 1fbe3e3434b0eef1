package all

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

const (
	// refusalLife is how long credentials that were refused are not tried again: every Server of a fleet asks. Other ones are tried at once.
	refusalLife = time.Minute
	// idleLife is how long an account is kept open for a Provider object that nobody asks for, which is thrice as long as one that exists
	// is not looked at: then it is gone, and so is its limit.
	idleLife = 15 * time.Minute
)

// entrance is the open account of one Provider object, as long as its settings and credentials stay what they are.
type entrance struct {
	digest [sha256.Size]byte // of all settings; no secret can be told from it
	door   provider.Provider
	whose  func(context.Context) (provider.Account, error)
	// Of its own until it is known whose the credentials are:
	pace      atomic.Pointer[pace]
	learned   atomic.Pointer[upcloud.Pace] // of type UpCloud
	throttled atomic.Pointer[aws.Paces]    // of type AWS

	// Guarded by the opener:
	limit   int // requests a second
	used    time.Time
	reaches string // the account's id, once known

	mu      sync.Mutex
	account provider.Account
	refusal error
	until   time.Time
}

// cloudOf opens an account of AWS or UpCloud.
func (o *Opener) cloudOf(ctx context.Context, spec Spec) (provider.Provider, provider.Account, error) {
	e, err := o.entrance(spec)
	if err != nil {
		return nil, provider.Account{}, err
	}
	account, err := e.ask(ctx, o.memory.Clock)
	if err != nil {
		return nil, provider.Account{}, err
	}
	o.share(e, account.ID)
	return e.door, account, nil
}

// ask asks whose the credentials are once, and again while the answer is no.
func (e *entrance) ask(ctx context.Context, now func() time.Time) (provider.Account, error) {
	e.mu.Lock() // also across the call: a fleet that asks at once is one question
	defer e.mu.Unlock()
	switch {
	case e.account.ID != "":
		return e.account, nil
	case e.refusal != nil && now().Before(e.until):
		return provider.Account{}, e.refusal
	}
	account, err := e.whose(ctx)
	if err != nil {
		if fault.IsTerminal(err) {
			e.refusal, e.until = err, now().Add(refusalLife)
		}
		return provider.Account{}, err
	}
	e.account, e.refusal = account, nil
	return account, nil
}

// share has all who reach an account send their requests at the pace of the strictest of them, and slow down together when it asks for that.
func (o *Opener) share(e *entrance, account string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e.reaches = account
	least := e.limit
	for _, other := range o.entrances {
		if other.reaches == account {
			least = min(least, other.limit)
		}
	}
	p, _ := cached(o.paces, account, func() (*pace, error) { return o.newPace(least), nil })
	p.set(least)
	e.pace.Store(p)
	if e.learned.Load() != nil {
		learned, _ := cached(o.learned, account, func() (*upcloud.Pace, error) { return upcloud.NewPace(float64(least)), nil })
		learned.Limit(float64(least))
		e.learned.Store(learned)
	}
	if own := e.throttled.Load(); own != nil {
		shared, _ := cached(o.throttled, account, func() (*aws.Paces, error) { return own, nil })
		e.throttled.Store(shared)
	}
}

// entrance returns the open account of the Provider object, opened anew where its settings are others than they were.
func (o *Opener) entrance(spec Spec) (*entrance, error) {
	digest, now := digestOf(spec), o.memory.Clock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, e := range o.entrances {
		if now.Sub(e.used) > idleLife {
			e.close()
			delete(o.entrances, name)
		}
	}
	if e := o.entrances[spec.Name]; e != nil && e.digest == digest {
		e.used = now
		return e, nil
	}
	e, err := o.enter(spec)
	if err == nil {
		e.digest, e.used = digest, now
		o.entrances[spec.Name] = e
	}
	return e, err
}

func (o *Opener) enter(spec Spec) (*entrance, error) {
	e := &entrance{limit: spec.RequestsPerSecond}
	turn := func(ctx context.Context) error { return e.pace.Load().turn(ctx) }
	switch spec.Type {
	case TypeAWS:
		e.limit = cmp.Or(e.limit, aws.RequestsPerSecond)
		options := spec.AWS
		options.Name, options.Installation, options.EndpointAllow = spec.Name, spec.Installation, spec.EndpointAllow
		options.Now, options.Turn, options.Pause = o.memory.Clock, turn, o.pause
		e.throttled.Store(aws.NewPaces(o.memory.Clock, o.pause))
		options.Paces = e.throttled.Load
		a, err := aws.New(options)
		if err != nil {
			return nil, err
		}
		e.door, e.whose = provider.Guarded(a, 0), a.Account
	default:
		e.limit = cmp.Or(e.limit, upcloud.RequestsPerSecond)
		options := spec.UpCloud
		options.Installation, options.EndpointAllow, options.Now, options.Turn = spec.Installation, spec.EndpointAllow, o.memory.Clock, turn
		e.learned.Store(upcloud.NewPace(float64(e.limit)))
		options.Pace = e.learned.Load
		u, err := upcloud.New(options)
		if err != nil {
			return nil, err
		}
		e.door, e.whose = provider.Guarded(u, 0), u.Account
	}
	e.pace.Store(o.newPace(e.limit))
	return e, nil
}

// close gives idle connections back. What still uses the door opens others.
func (e *entrance) close() {
	if closer, ok := provider.As[interface{ Close() }](e.door); ok {
		closer.Close()
	}
}

// digestOf tells settings apart. Options hide their secrets from printing, so these are named one by one.
func digestOf(spec Spec) [sha256.Size]byte {
	a, u := spec.AWS, spec.UpCloud
	role := ""
	if a.AssumeRole != nil {
		role = fmt.Sprintf("%q", []string{a.AssumeRole.ARN, a.AssumeRole.ExternalID, a.AssumeRole.SessionName})
	}
	return sha256.Sum256(fmt.Appendf(nil, "%q", []string{
		spec.Type, spec.Installation, strconv.Itoa(spec.RequestsPerSecond), fmt.Sprintf("%q", spec.EndpointAllow),
		a.Region, a.Endpoint, a.Credentials.AccessKeyID, a.Credentials.SecretAccessKey, a.Credentials.SessionToken, role,
		fmt.Sprintf("%q%q%q%t", a.SubnetIDs, a.SecurityGroupIDs, a.SSHFrom, a.Spot), a.Transport,
		u.Zone, u.Endpoint, u.Token, u.Username, u.Password, u.ServerGroup, fmt.Sprintf("%q", u.Firewall), u.User, u.Transport,
	}))
}
