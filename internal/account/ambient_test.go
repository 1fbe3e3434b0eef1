package account

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	providers "github.com/keelway/keelway/internal/provider/all"
	"github.com/keelway/keelway/internal/provider/mem"
)

// TestAmbientCredentials: who may write a Provider does not borrow the operator's own role.
func TestAmbientCredentials(t *testing.T) {
	role := &v1alpha1.AssumeRole{ARN: "arn:aws:iam::123456789012:role/other"}
	cases := map[string]struct {
		reason   string
		admitted []string
		role     *v1alpha1.AssumeRole
		refused  bool
	}{
		"nobody":           {"an installation that says nothing lends its role to nobody", nil, nil, true},
		"nobody, a role":   {"a role that trusts the operator is reached by the operator's own credentials, too", nil, role, true},
		"another one":      {"a namespace is admitted by its own name", []string{"team"}, nil, true},
		"this one":         {"the namespace is admitted", []string{"team", "team-a"}, nil, false},
		"this one, a role": {"and a role of another account with it", []string{"team-a"}, role, false},
		"all":              {"an operator whose Providers are all written by its own people", []string{"*"}, nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := &v1alpha1.Provider{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "aws"},
				Spec:       v1alpha1.ProviderSpec{Type: v1alpha1.ProviderAWS, AWS: &v1alpha1.AWSProvider{Region: "eu-west-1", AssumeRole: tc.role}},
			}
			accounts := providers.NewOpener(mem.Options{})
			t.Cleanup(accounts.Close)
			o := &Opener{Accounts: accounts, Installation: "test", AmbientNamespaces: tc.admitted}
			options, err := o.ofAWS(p, nil)
			if !tc.refused {
				if err != nil || options.Region != "eu-west-1" || (options.AssumeRole != nil) != (tc.role != nil) {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			_, _, err = o.Open(context.Background(), p)
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonNotAllowed || !strings.Contains(err.Error(), "--aws-ambient-namespaces=team-a") {
				t.Errorf("%s: want a refusal that names the flag, got %v", tc.reason, err)
			}
		})
	}
}

// TestAmbientEndpoint: the operator's own credentials go where AWS is, or where the installation says, and not where a Provider says.
func TestAmbientEndpoint(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, endpoint string
		secret, refused  bool
	}{
		"AWS's own":  {"none is named", "", false, false},
		"named":      {"the installation trusts it", "https://ec2.private.example", false, false},
		"a stranger": {"a public one that nobody named would get the token of web identity", "https://ec2.stranger.example", false, true},
		"no URL":     {"what cannot be read is named by nobody", "https://%zz", false, true},
		"a Secret":   {"what belongs to the author goes where the author says", "https://ec2.stranger.example", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Opener{Installation: "test", AmbientNamespaces: []string{"*"}, EndpointAllow: []string{"ec2.private.example"}}
			p := &v1alpha1.Provider{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "aws"},
				Spec:       v1alpha1.ProviderSpec{Type: v1alpha1.ProviderAWS, AWS: &v1alpha1.AWSProvider{Region: "eu-west-1", Endpoint: tc.endpoint}},
			}
			var secret map[string][]byte
			if tc.secret {
				p.Spec.Credentials = &v1alpha1.Credentials{SecretRef: v1alpha1.LocalRef{Name: "a"}}
				secret = map[string][]byte{"accessKeyID": []byte("AKIA"), "secretAccessKey": []byte("x")}
			}
			_, err := o.ofAWS(p, secret)
			if refused := fault.IsTerminal(err) && fault.ReasonOf(err) == fault.ReasonNotAllowed && strings.Contains(err.Error(), "--endpoint-allow"); refused != tc.refused || !tc.refused && err != nil {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}
