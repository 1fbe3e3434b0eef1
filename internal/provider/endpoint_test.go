package provider_test

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

func TestAdmitEndpoint(t *testing.T) {
	const ok fault.Reason = ""
	for endpoint, tc := range map[string]struct {
		want     fault.Reason
		admitted []string
	}{
		"":                                     {want: ok},
		"https://cloud.example":                {want: ok},
		"https://ec2.eu-west-1.amazonaws.com/": {want: ok},
		"https://10.0.0.4:8443/ec2":            {want: ok},
		"http://cloud.example":                 {want: fault.ReasonNotAllowed},
		"http://cloud.example/":                {want: ok, admitted: []string{"cloud.example"}},
		"https://127.0.0.1":                    {want: fault.ReasonNotAllowed},
		"http://127.0.0.1:9001":                {want: ok, admitted: []string{"127.0.0.1:9001"}},
		"http://127.0.0.1:9002":                {want: fault.ReasonNotAllowed, admitted: []string{"127.0.0.1:9001"}},
		"http://127.4.5.6:9002":                {want: ok, admitted: []string{"127.0.0.0/8"}},
		"http://[::1]:9002":                    {want: ok, admitted: []string{"::1"}},
		"https://[::1]":                        {want: fault.ReasonNotAllowed, admitted: []string{""}},
		"https://[::ffff:127.0.0.1]":           {want: fault.ReasonNotAllowed},
		"https://[::ffff:169.254.169.254]":     {want: fault.ReasonNotAllowed},
		"https://169.254.169.254":              {want: fault.ReasonNotAllowed, admitted: []string{"127.0.0.0/8"}},
		"https://169.254.1.1:80":               {want: fault.ReasonNotAllowed},
		"https://[fe80::1%25eth0]":             {want: fault.ReasonNotAllowed},
		"https://[fd00:ec2::254]":              {want: fault.ReasonNotAllowed},
		"https://0.0.0.0":                      {want: fault.ReasonNotAllowed},
		"https://localhost":                    {want: fault.ReasonNotAllowed},
		"https://LOCALHOST.":                   {want: fault.ReasonNotAllowed},
		"https://a.localhost:1":                {want: fault.ReasonNotAllowed},
		"https://metadata.google.internal":     {want: fault.ReasonNotAllowed},
		"https://127.1":                        {want: fault.ReasonNotAllowed},
		"https://2130706433":                   {want: fault.ReasonNotAllowed},
		"https://0x7f000001":                   {want: fault.ReasonNotAllowed},
		"ftp://cloud.example":                  {want: fault.ReasonInvalid},
		"cloud.example":                        {want: fault.ReasonInvalid},
		"https://":                             {want: fault.ReasonInvalid},
		"%":                                    {want: fault.ReasonInvalid},
		"https://user:secret@cloud.example":    {want: fault.ReasonInvalid},
		"https://cloud.example?key=secret":     {want: fault.ReasonInvalid},
		"https://" + strings.Repeat("x", 9000) + ".localhost": {want: fault.ReasonNotAllowed},
	} {
		err := provider.AdmitEndpoint(endpoint, tc.admitted)
		if tc.want == ok {
			if err != nil {
				t.Errorf("%s: %v", endpoint, err)
			}
			continue
		}
		if !fault.IsTerminal(err) || fault.ReasonOf(err) != tc.want || len(err.Error()) > provider.MessageLimit || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.80s: got %v, want %s", endpoint, err, tc.want)
		}
	}
}

func TestDialControl(t *testing.T) {
	control := provider.DialControl("https://cloud.example", []string{"127.0.0.0/8"})
	for address, want := range map[string]bool{"192.0.2.1:443": true, "127.0.0.1:443": false, "169.254.169.254:80": false, "[fe80::1%1]:80": false, "nonsense": false} {
		if got := control("tcp", address, nil) == nil; got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if provider.DialControl("http://127.0.0.1:9", []string{"127.0.0.0/8"}) != nil {
		t.Error("what is admitted by name is not looked at again")
	}
}
