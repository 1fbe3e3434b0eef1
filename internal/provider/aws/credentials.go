package aws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/keelway/keelway/internal/provider"
)

// Credentials are an access key. They print as [redacted], whatever the verb.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// Format implements fmt.Formatter.
func (c Credentials) Format(f fmt.State, _ rune) {
	if c == (Credentials{}) {
		_, _ = f.Write([]byte("[none]"))
		return
	}
	_, _ = f.Write([]byte("[redacted]"))
}

// MarshalText keeps credentials out of whatever is written as JSON or YAML.
func (c Credentials) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%v", c), nil }

// connect makes the clients of all services. The ambient chain is read at the first call: it may ask the network.
func connect(o Options) clients {
	at := func(bucket func(*Paces) *pace) sdk.Retryer { return attempt{func() *pace { return bucket(o.Paces()) }} }
	base := sdk.Config{Region: o.Region, HTTPClient: whole{httpClient(o), o.Turn}}
	if o.Endpoint != "" {
		base.BaseEndpoint = sdk.String(o.Endpoint)
	}
	base.Credentials = o.source(base)
	if role := o.AssumeRole; role != nil {
		source := base
		source.Retryer = o.alone
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(source), role.ARN, func(a *stscreds.AssumeRoleOptions) {
			a.RoleSessionName = "keelway"
			if role.SessionName != "" {
				a.RoleSessionName = role.SessionName
			}
			if role.ExternalID != "" {
				a.ExternalID = sdk.String(role.ExternalID)
			}
		})
		base.Credentials = sdk.NewCredentialsCache(marked{provider})
	}
	priced := base.Copy()
	priced.Region = pricingRegion(o.Region)
	return clients{
		launches: ec2.NewFromConfig(base, func(e *ec2.Options) { e.Retryer = at(func(p *Paces) *pace { return &p.launches }) }),
		writes:   ec2.NewFromConfig(base, func(e *ec2.Options) { e.Retryer = at(func(p *Paces) *pace { return &p.writes }) }),
		reads:    ec2.NewFromConfig(base, func(e *ec2.Options) { e.Retryer = at(func(p *Paces) *pace { return &p.reads }) }),
		sts:      sts.NewFromConfig(base, func(s *sts.Options) { s.Retryer = at(func(p *Paces) *pace { return &p.sts }) }),
		ssm:      ssm.NewFromConfig(base, func(s *ssm.Options) { s.Retryer = at(func(p *Paces) *pace { return &p.ssm }) }),
		pricing:  pricing.NewFromConfig(priced, func(s *pricing.Options) { s.Retryer = at(func(p *Paces) *pace { return &p.pricing }) }),
	}
}

// source is where the first credentials come from.
func (o Options) source(base sdk.Config) sdk.CredentialsProvider {
	if c := o.Credentials; c != (Credentials{}) {
		return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	}
	return sdk.NewCredentialsCache(marked{sdk.CredentialsProviderFunc(func(ctx context.Context) (sdk.Credentials, error) {
		load := []func(*config.LoadOptions) error{config.WithRegion(o.Region), config.WithRetryer(o.alone)}
		if o.Endpoint != "" {
			load = append(load, config.WithBaseEndpoint(o.Endpoint), config.WithHTTPClient(base.HTTPClient))
		}
		ambient, err := config.LoadDefaultConfig(ctx, load...)
		if err != nil {
			return sdk.Credentials{}, err
		}
		return ambient.Credentials.Retrieve(ctx)
	})})
}

// alone is a pace that nobody shares: where credentials come from may be another account.
func (o Options) alone() sdk.Retryer {
	own := &pace{now: o.Now, pause: o.Pause}
	return attempt{func() *pace { return own }}
}

func httpClient(o Options) *http.Client {
	if o.HTTP != nil {
		return o.HTTP
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	carrier := http.DefaultTransport.(*http.Transport).Clone()
	if o.Endpoint != "" {
		dialer.Control = provider.DialControl(o.Endpoint, o.EndpointAllow)
		carrier.Proxy = nil // it would be the one that is dialled and judged
	}
	carrier.DialContext = dialer.DialContext
	carrier.MaxIdleConnsPerHost = 16
	carrier.ResponseHeaderTimeout = 25 * time.Second
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: carrier, Timeout: 30 * time.Second, CheckRedirect: noRedirects}
}

// whole sends bodies that are in memory in one piece. The SDK closes a request's body as soon as the reply begins, and net/http, which
// sends a body that it does not know after the header, may still look for its end then: it breaks the connection, and a reply is lost
// that was there.
type whole struct {
	*http.Client
	turn func(context.Context) error
}

// Do implements the SDK's HTTPClient.
func (w whole) Do(r *http.Request) (*http.Response, error) {
	if w.turn != nil {
		if err := w.turn(r.Context()); err != nil {
			return nil, err
		}
	}
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return w.Client.Do(r)
}

// marked tells an error of getting credentials from one of the call that they were wanted for.
type marked struct{ sdk.CredentialsProvider }

type credentialsError struct{ error }

func (c credentialsError) Unwrap() error { return c.error }

func (m marked) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	got, err := m.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = credentialsError{err}
	}
	return got, err
}
