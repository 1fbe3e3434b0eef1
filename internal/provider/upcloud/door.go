package upcloud

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/client"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// door is the SDK's client with errors that carry a class: the SDK's own services work on it and hand its errors on as they are.
type door struct {
	*client.Client
	http    *http.Client
	secrets []string // that no message may repeat
}

func newDoor(o Options) *door {
	ours := o.HTTP
	if ours == nil {
		ours = &http.Client{Transport: newTransport(o), Timeout: 60 * time.Second}
	}
	carried := *ours
	if carried.Transport == nil {
		carried.Transport = http.DefaultTransport
	}
	carried.Transport = &limiter{next: carried.Transport, pace: o.Pace, turn: o.Turn}
	// A redirect would carry credentials to wherever the answer says.
	carried.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	endpoint := strings.TrimSuffix(o.Endpoint, "/")
	if endpoint == "" {
		endpoint = client.APIBaseURL
	}
	// The base URL is always given: without it the SDK would take one from the environment.
	sdk := client.New(o.Username, o.Password, client.WithHTTPClient(&carried), client.WithBaseURL(endpoint))
	d := &door{http: &carried, secrets: []string{o.Password, base64.StdEncoding.EncodeToString([]byte(o.Username + ":" + o.Password))}}
	if o.Token != "" {
		sdk = client.New("", "", client.WithHTTPClient(&carried), client.WithBaseURL(endpoint), client.WithBearerAuth(o.Token))
		d.secrets = []string{o.Token}
	}
	sdk.UserAgent = "keelway " + sdk.UserAgent
	d.Client = sdk
	return d
}

// newTransport is a transport that keeps connections and gives up on dead ones; the SDK's does neither.
func newTransport(o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	proxy := http.ProxyFromEnvironment
	if o.Endpoint != "" { // a proxy would dial for us what we refuse
		dialer.Control, proxy = provider.DialControl(o.Endpoint, o.EndpointAllow), nil
	}
	return &http.Transport{
		Proxy:               proxy,
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        32,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     client.NewDefaultTLSClientConfig(),
	}
}

func (d *door) Get(ctx context.Context, path string) ([]byte, error) {
	return d.pass(ctx, http.MethodGet, func(ctx context.Context) ([]byte, error) { return d.Client.Get(ctx, path) })
}

func (d *door) Post(ctx context.Context, path string, body []byte) ([]byte, error) {
	return d.pass(ctx, http.MethodPost, func(ctx context.Context) ([]byte, error) { return d.Client.Post(ctx, path, body) })
}

func (d *door) Put(ctx context.Context, path string, body []byte) ([]byte, error) {
	return d.pass(ctx, http.MethodPut, func(ctx context.Context) ([]byte, error) { return d.Client.Put(ctx, path, body) })
}

func (d *door) Patch(ctx context.Context, path string, body []byte) ([]byte, error) {
	return d.pass(ctx, http.MethodPatch, func(ctx context.Context) ([]byte, error) { return d.Client.Patch(ctx, path, body) })
}

func (d *door) Delete(ctx context.Context, path string) ([]byte, error) {
	return d.pass(ctx, http.MethodDelete, func(ctx context.Context) ([]byte, error) { return d.Client.Delete(ctx, path) })
}

func (d *door) pass(ctx context.Context, method string, call func(context.Context) ([]byte, error)) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "nothing was sent to UpCloud: %w", err)
	}
	told := &answer{}
	mutating := method != http.MethodGet
	body, err := call(context.WithValue(ctx, answerKey{}, told))
	if err == nil && len(body) > 0 && !json.Valid(body) {
		err = errors.New("the reply is no JSON")
	}
	if err == nil {
		return body, nil
	}
	if refused, ok := errors.AsType[*client.Error](err); ok {
		return nil, refusal(mutating, told, refused, d.scrub)
	}
	return nil, broken(mutating, err, d.scrub)
}

// scrub takes out of a text what a careless answer may have repeated.
func (d *door) scrub(text string) string {
	for _, secret := range d.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[hidden]")
		}
	}
	return text
}

// answer is what a reply said outside its body, which is all that the SDK hands on.
type answer struct {
	requestID  string
	retryAfter time.Duration
}

type answerKey struct{}
