package mem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Client is a provider.Provider whose cloud lives in another process of this machine.
type Client struct {
	host string
	http *http.Client
}

var (
	_ provider.Provider = (*Client)(nil)
	_ provider.Powerer  = (*Client)(nil)
	_ provider.Resizer  = (*Client)(nil)
	_ provider.Adopter  = (*Client)(nil)
)

// Dial returns a client of the cloud that a Handler serves at endpoint, "http://127.0.0.1:8080". It sends nothing yet.
// An endpoint that is not plain HTTP on a loopback address is Terminal: Invalid where it cannot be read, else NotAllowed.
func Dial(endpoint string) (*Client, error) {
	at, err := url.Parse(endpoint)
	if err != nil || at.Host == "" || at.User != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "the endpoint %s is no URL such as http://127.0.0.1:8080", quote(endpoint))
	}
	ip, err := netip.ParseAddr(at.Hostname())
	if at.Scheme != "http" || !(at.Hostname() == "localhost" || err == nil && ip.IsLoopback()) {
		return nil, fault.New(fault.Terminal, fault.ReasonNotAllowed, "the endpoint %s is not allowed: a Memory cloud is plain http on a loopback address", quote(endpoint))
	}
	// No proxy: a setting meant for the internet must not carry loopback calls away.
	carrier := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: (&net.Dialer{}).DialContext}
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{host: at.Host, http: &http.Client{Transport: carrier, CheckRedirect: noRedirects}}, nil
}

// Host returns the address and port of the cloud.
func (c *Client) Host() string { return c.host }

// Close drops idle connections. The client works on afterwards.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Create implements provider.Provider.
func (c *Client) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	// JSON would mend invalid UTF-8 in silence, and the cloud would keep another identity than the one asked for.
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	got, err := c.call(ctx, Create, request{Want: want})
	return got.Instance, err
}

// Get implements provider.Provider.
func (c *Client) Get(ctx context.Context, id string) (provider.Instance, error) {
	got, err := c.call(ctx, Get, request{ID: id})
	return got.Instance, err
}

// Delete implements provider.Provider.
func (c *Client) Delete(ctx context.Context, id string) error {
	_, err := c.call(ctx, Delete, request{ID: id})
	return err
}

// List implements provider.Provider.
func (c *Client) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	got, err := c.call(ctx, List, request{Owner: owner})
	return got.Instances, err
}

// Power implements provider.Powerer.
func (c *Client) Power(ctx context.Context, id string, want provider.Power) error {
	_, err := c.call(ctx, Power, request{ID: id, Power: want})
	return err
}

// Resize implements provider.Resizer.
func (c *Client) Resize(ctx context.Context, id, size string) error {
	_, err := c.call(ctx, Resize, request{ID: id, Size: size})
	return err
}

// Adopt implements provider.Adopter.
func (c *Client) Adopt(ctx context.Context, id, key string, owner provider.Owner) (provider.Instance, error) {
	if err := (provider.Machine{Key: key, Owner: owner}).Validate(); err != nil {
		return provider.Instance{}, err
	}
	got, err := c.call(ctx, Adopt, request{ID: id, Key: key, Owner: owner})
	return got.Instance, err
}

const replyLimit = 128 << 20 // some 200,000 machines

func (c *Client) call(ctx context.Context, verb Verb, in request) (reply, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return reply{}, fault.New(fault.Terminal, fault.ReasonInvalid, "the request cannot be written: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.host+"/"+string(verb), bytes.NewReader(body))
	if err != nil {
		return reply{}, fault.New(fault.Terminal, fault.ReasonInvalid, "the request cannot be made: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(req)
	if err != nil {
		return reply{}, broken(verb, err)
	}
	defer answer.Body.Close()
	var out reply
	if err := json.NewDecoder(io.LimitReader(answer.Body, replyLimit)).Decode(&out); err != nil {
		return reply{}, broken(verb, fmt.Errorf("reading the reply (%s): %w", answer.Status, err))
	}
	if e := out.Error; e != nil {
		return reply{}, &fault.Error{Class: classes[e.Class], Reason: e.Reason, After: e.After, Err: errors.New(e.Message)}
	}
	return out, nil
}

// broken classifies a connection's failure. A connection that was never made carried nothing; after that, a call that changes
// something may have taken effect.
func broken(verb Verb, err error) error {
	text := provider.Clip(err.Error())
	op, dialling := errors.AsType[*net.OpError](err)
	if dialling && op.Op == "dial" || verb.reads() {
		return fault.New(fault.Retry, fault.ReasonUnreachable, "the cloud does not answer: %s", text)
	}
	return fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "no reply: %s", text)
}
