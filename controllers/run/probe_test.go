package run

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func getting(url, contains string) v1alpha1.RunSpec {
	return v1alpha1.RunSpec{
		Action: v1alpha1.RunHTTP, HTTP: &v1alpha1.HTTPProbe{URL: url}, Timeout: metav1.Duration{Duration: time.Second},
		Expect: v1alpha1.Expectation{OutputContains: contains},
	}
}

func connecting(address string) v1alpha1.RunSpec {
	return v1alpha1.RunSpec{Action: v1alpha1.RunTCP, TCP: &v1alpha1.TCPProbe{Address: address}}
}

func TestProbeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spec   v1alpha1.RunSpec
		allow  []netip.Prefix
		as     fault.Reason
		reason string
	}{
		"nothing admitted":   {getting("http://127.0.0.1/", ""), nil, fault.ReasonNotAllowed, "the default admits nothing"},
		"outside":            {getting("http://169.254.169.254/latest", ""), loopback, fault.ReasonNotAllowed, "a cloud's metadata service is the operator's alone"},
		"tcp outside":        {connecting("10.0.0.1:443"), loopback, fault.ReasonNotAllowed, "for connections too"},
		"mapped":             {getting("http://[::ffff:10.0.0.1]/", ""), loopback, fault.ReasonNotAllowed, "IPv4 in IPv6's clothes is IPv4"},
		"admitted by prefix": {getting("http://[::1]/", ""), loopback, fault.ReasonNotAllowed, "another family is another address"},
		"scheme":             {getting("file:///etc/passwd", ""), loopback, fault.ReasonInvalid, "only http and https"},
		"user":               {getting("http://me:pw@127.0.0.1/", ""), loopback, fault.ReasonInvalid, "no credentials in a spec"},
		"no host":            {getting("http:///x", ""), loopback, fault.ReasonInvalid, "nowhere to go"},
		"no port":            {connecting("127.0.0.1"), loopback, fault.ReasonInvalid, "host:port"},
		"port 0":             {connecting("127.0.0.1:0"), loopback, fault.ReasonInvalid, "no such port"},
		"port name":          {connecting("127.0.0.1:http"), loopback, fault.ReasonInvalid, "numbers only"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Prober{Allow: c.allow}.Probe(t.Context(), c.spec)
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != c.as {
				t.Errorf("%s: got %v", c.reason, err)
			}
			if c.as == fault.ReasonNotAllowed && !strings.Contains(err.Error(), "--check-allow") {
				t.Errorf("the message does not name the setting: %v", err)
			}
		})
	}
}

func TestProbeAnswers(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/endless":
			for range 200 {
				_, _ = w.Write(make([]byte, 1024))
			}
			_, _ = w.Write([]byte("needle"))
		case "/slow":
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte("all is well"))
		}
	}))
	defer server.Close()
	prober := Prober{Allow: loopback}

	report, err := prober.Probe(t.Context(), getting(server.URL, "is well"))
	if err != nil || report.Code != 200 || !report.Contains || report.Text != "all is well" {
		t.Errorf("got %+v, %v", report, err)
	}
	if report, _ = prober.Probe(t.Context(), getting(server.URL, "is ill")); report.Contains {
		t.Error("it found what is not there")
	}
	asked = 0
	if report, _ = prober.Probe(t.Context(), getting(server.URL+"/away", "")); report.Code != 302 || asked != 1 {
		t.Errorf("a redirect was followed: %+v, %d requests", report, asked)
	}
	if report, _ = prober.Probe(t.Context(), getting(server.URL+"/endless", "needle")); report.Contains || len(report.Text) > maxBody {
		t.Errorf("%d bytes were read", len(report.Text))
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if report, err = prober.Probe(ctx, getting(server.URL+"/slow", "")); err != nil || report.Failure != "no answer in time" {
		t.Errorf("got %+v, %v", report, err)
	}
	address := server.Listener.Addr().String()
	if report, err = prober.Probe(t.Context(), connecting(address)); err != nil || report.Failure != "" {
		t.Errorf("connecting: %+v, %v", report, err)
	}
	server.Close()
	if report, err = prober.Probe(t.Context(), connecting(address)); err != nil || !strings.Contains(report.Failure, "refused") {
		t.Errorf("connecting to nobody: %+v, %v", report, err)
	}
}

// TestProbeDialsWhatItChecked: a name that means another address a moment later leads to the address that was checked.
func TestProbeDialsWhatItChecked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	_, port, _ := net.SplitHostPort(u.Host)
	lookups := 0
	prober := Prober{Allow: loopback, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		if lookups++; lookups > 1 {
			return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("127.0.0.1")}, nil
	}}
	report, err := prober.Probe(t.Context(), getting("http://rebinding.example:"+port+"/", ""))
	if err != nil || report.Code != 200 || lookups != 1 || report.Text != "rebinding.example:"+port {
		t.Errorf("%d lookups, %+v, %v", lookups, report, err)
	}
	if _, err = prober.Probe(t.Context(), getting("http://rebinding.example:"+port+"/", "")); fault.ReasonOf(err) != fault.ReasonNotAllowed {
		t.Errorf("the second answer was not checked: %v", err)
	}
}
