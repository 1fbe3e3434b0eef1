package run

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// Prober asks from where the operator runs, and only what the installation admits: users who may make a Run must not reach
// through it what only the operator can reach.
type Prober struct {
	Allow []netip.Prefix
	// Lookup resolves a name; nil: the host's resolver.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
}

const (
	longestProbe = 30 * time.Second // a probe occupies a worker
	maxBody      = 64 << 10
	maxTail      = 4 << 10
)

// ask probes and judges.
func (v *visit) ask(ctx context.Context, one *v1alpha1.Run, step *plan.RunStep) error {
	begun := v.kit.Now()
	ctx, stop := context.WithTimeout(ctx, min(one.Spec.Timeout.Duration, longestProbe))
	defer stop()
	report, err := v.prober.Probe(ctx, one.Spec)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
		return cause // we are stopping: this says nothing about the other side
	}
	if err != nil {
		return v.refused(one, err)
	}
	said := plan.OnceSaid{StartedAt: begun, EndedAt: v.kit.Now(), Report: report, Tail: reconcile.Bounded(report.Text, maxTail)}
	step.Finish(one.Spec, said, v.kit.Now())
	one.Status = step.Status
	return step.Outcome
}

// Probe does an HTTP or TCP action. That the other side does not answer is a report; the error is Terminal: Invalid for what
// cannot be asked, NotAllowed for what must not be.
func (p Prober) Probe(ctx context.Context, spec v1alpha1.RunSpec) (plan.RunReport, error) {
	if spec.Action == v1alpha1.RunTCP {
		host, port, err := splitAddress(spec.TCP.Address)
		if err != nil {
			return plan.RunReport{}, err
		}
		return p.connect(ctx, host, port)
	}
	target, err := checkURL(spec.HTTP.URL)
	if err != nil {
		return plan.RunReport{}, err
	}
	return p.get(ctx, target, spec.Expect.OutputContains)
}

func (p Prober) connect(ctx context.Context, host, port string) (plan.RunReport, error) {
	at, failure, err := p.admit(ctx, host)
	if err != nil || failure != "" {
		return plan.RunReport{Failure: failure}, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(at.String(), port))
	if err != nil {
		return plan.RunReport{Failure: plainly(ctx, err)}, nil
	}
	_ = conn.Close()
	return plan.RunReport{Contains: true}, nil
}

// get dials the address that was checked, whatever the name means a moment later, and follows no redirect.
func (p Prober) get(ctx context.Context, target *url.URL, contains string) (plan.RunReport, error) {
	at, failure, err := p.admit(ctx, target.Hostname())
	if err != nil || failure != "" {
		return plan.RunReport{Failure: failure}, err
	}
	trip := &http.Transport{
		Proxy: nil, DisableKeepAlives: true, MaxResponseHeaderBytes: maxBody,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(at.String(), port))
		},
	}
	defer trip.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return plan.RunReport{}, fault.New(fault.Terminal, fault.ReasonInvalid, "spec.http.url: %w", err)
	}
	answer, err := trip.RoundTrip(request)
	if err != nil {
		return plan.RunReport{Failure: plainly(ctx, err)}, nil
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return plan.RunReport{Failure: "the answer broke off: " + plainly(ctx, err)}, nil
	}
	return plan.RunReport{Code: answer.StatusCode, Text: string(body), Contains: strings.Contains(string(body), contains)}, nil
}

// admit resolves a host once and returns an address of it that may be reached.
func (p Prober) admit(ctx context.Context, host string) (at netip.Addr, failure string, err error) {
	addresses := []netip.Addr{}
	if literal, perr := netip.ParseAddr(host); perr == nil {
		addresses = append(addresses, literal)
	} else if addresses, err = p.lookup(ctx, host); err != nil {
		return at, plainly(ctx, err), nil
	}
	for _, address := range addresses {
		for _, prefix := range p.Allow {
			if prefix.Contains(address.Unmap().WithZone("")) {
				return address.Unmap(), "", nil
			}
		}
	}
	return at, "", fault.New(fault.Terminal, fault.ReasonNotAllowed,
		"the operator may not probe %.200s: none of its addresses is in --check-allow; give the Run a target, or have the address admitted", host)
}

func (p Prober) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if p.Lookup != nil {
		return p.Lookup(ctx, name)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "spec.http.url %.200q: want http://host/… or https://host/…, without a user", text)
	}
	return u, nil
}

// plainly says why there was no answer.
func plainly(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "no answer in time"
	}
	return err.Error()
}
