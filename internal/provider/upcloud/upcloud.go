// Package upcloud knows how a server of UpCloud is a machine: made once, found again by its labels, and ended with its storages.
// It must not know objects of the API, where credentials come from, or what runs on a machine.
package upcloud

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/service"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// Options of an account. Token, or Username and Password: one of the two. Printed in any way, they show no secret.
type Options struct {
	Installation string // the installation's id
	Zone         string // of machines that name none
	Token        string
	Username     string
	Password     string

	Endpoint      string   // for tests and private clouds; "" = UpCloud's own
	EndpointAllow []string // what the installation admits besides, see provider.AdmitEndpoint

	ServerGroup string // UUID of a server group that new machines join (anti-affinity); "" = none
	Firewall    []Rule // who may open connections to new machines; none = their firewall is off
	User        string // who logs in with Machine.Keys; "" = root
	// Transport is how machines are reached: "" is SSH. Script is for a simulated cloud, whose machines run nothing, and needs an Endpoint.
	Transport string

	RequestsPerSecond float64       // the most, before the cloud itself asks for fewer; 0 = RequestsPerSecond
	Pace              func() *Pace  // of the account, where others reach it, too; nil = one of its own, of RequestsPerSecond
	Settle            time.Duration // how long the cloud may hide a machine that it has made; 0 = 30 s
	HTTP              *http.Client  // nil = one with time-outs and kept connections that dials no refused address; redirects are never followed
	Now               func() time.Time
	// Turn returns when a request may be sent; its error, a *fault.Error, says that it is not. nil = at any time.
	Turn func(context.Context) error
}

// RequestsPerSecond is what an account is sent at most where nobody says otherwise.
const RequestsPerSecond = 10

// String hides what must not be shown.
func (o Options) String() string {
	return fmt.Sprintf("upcloud.Options{Installation:%q Zone:%q Endpoint:%q Username:%q}", o.Installation, o.Zone, o.Endpoint, o.Username)
}

// Format hides it from every verb.
func (o Options) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, o.String()) }

// UpCloud is one installation's part of one account. It is safe for concurrent use.
type UpCloud struct {
	o     Options
	door  *door
	svc   *service.Service
	keys  locks // one Create a key
	ids   locks // one change of a server's labels at a time
	shelf shelf // zones, sizes, images, prices

	mu       sync.Mutex
	attempts map[string]attempt   // by key
	kept     map[string]kept      // by id
	turned   time.Time            // when pages of resting servers were last read
	seen     map[string]time.Time // when a server's own page was seen last, by id
	stops    map[string]stop      // that are under way, by id
	account  provider.Account
}

// Format shows whose account it is, and nothing of what it holds.
func (u *UpCloud) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, u.o.String()) }

var (
	_ provider.Provider   = (*UpCloud)(nil)
	_ provider.Powerer    = (*UpCloud)(nil)
	_ provider.Resizer    = (*UpCloud)(nil)
	_ provider.Adopter    = (*UpCloud)(nil)
	_ provider.Pricer     = (*UpCloud)(nil)
	_ provider.Cataloguer = (*UpCloud)(nil)
	_ provider.Untokened  = (*UpCloud)(nil)
	_ provider.Labeller   = (*UpCloud)(nil)
	_ provider.Relabeller = (*UpCloud)(nil)
	_ provider.Paged      = (*UpCloud)(nil)
)

// New returns the account. It sends nothing. Errors are Terminal: Unauthenticated without credentials, NotAllowed for an endpoint that
// the installation does not admit, Invalid for settings that name nothing.
func New(o Options) (*UpCloud, error) {
	byToken, byName := o.Token != "", o.Username != "" || o.Password != ""
	switch {
	case o.Installation == "":
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "the installation has no id")
	case byToken == byName, byName && (o.Username == "" || o.Password == ""):
		return nil, fault.New(fault.Terminal, fault.ReasonUnauthenticated, "credentials: UpCloud needs either token, or username and password")
	case o.ServerGroup != "" && !isUUID(o.ServerGroup):
		return nil, invalid("serverGroup: %.64q is no UUID", o.ServerGroup)
	}
	if o.Transport != "" && o.Transport != transport.SSH && (o.Transport != transport.Script || o.Endpoint == "") {
		return nil, invalid("transport: machines of UpCloud are reached over SSH, and not %.32q", o.Transport)
	}
	if err := provider.AdmitEndpoint(o.Endpoint, o.EndpointAllow); err != nil {
		return nil, err
	}
	if err := checkRules(o.Firewall); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	door := newDoor(o)
	o.Token, o.Password = "", "" // whoever prints what holds an account must not print them
	return &UpCloud{
		o: o, door: door, svc: service.New(door), attempts: map[string]attempt{}, kept: map[string]kept{}, seen: map[string]time.Time{}, stops: map[string]stop{},
		shelf: newShelf(o.Now),
	}, nil
}

func (o Options) withDefaults() Options {
	if o.User == "" {
		o.User = "root"
	}
	if o.Transport == "" {
		o.Transport = transport.SSH
	}
	if o.RequestsPerSecond <= 0 {
		o.RequestsPerSecond = RequestsPerSecond
	}
	if o.Pace == nil {
		own := NewPace(o.RequestsPerSecond)
		o.Pace = func() *Pace { return own }
	}
	if o.Settle <= 0 {
		o.Settle = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Account asks whose credentials they are. It is asked once; wrong ones are Terminal/Unauthenticated.
func (u *UpCloud) Account(ctx context.Context) (provider.Account, error) {
	u.mu.Lock()
	known := u.account
	u.mu.Unlock()
	if known.ID != "" {
		return known, nil
	}
	got, err := u.svc.GetAccount(ctx)
	if err != nil {
		return provider.Account{}, fault.During(err, "asking for the account")
	}
	known = provider.Account{ID: "upcloud/" + got.UserName, Location: u.o.Zone}
	if at, err := url.Parse(u.o.Endpoint); err == nil && at.Host != "" {
		known.ID = "upcloud/" + at.Host + "/" + got.UserName
	}
	if known.Location == "" {
		known.Location = "any zone"
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.account = known
	return known, nil
}

// PageSize implements provider.Paged.
func (u *UpCloud) PageSize() int { return pageSize }

// Settle implements provider.Untokened.
func (u *UpCloud) Settle() time.Duration { return u.o.Settle }

// Close gives idle connections back.
func (u *UpCloud) Close() { u.door.http.CloseIdleConnections() }

func invalid(format string, args ...any) error {
	return fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
}
