package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbDoctor() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps Keelway from working, and say what to do",
		Long: `doctor looks at this program and the kubeconfig first, which needs no cluster, then at the cluster: its version, the CRDs and whether they
are those of this program, your permissions, the clock, and what Providers and Servers of the namespace say of credentials and reach.
With --ssh it also knocks at the SSH port of every Server from here. It changes nothing. It ends with 1 when something is wrong.`,
		Args: cobra.NoArgs,
	}
	knock := c.Flags().Bool("ssh", false, "knock at the SSH ports of Servers from this machine")
	f := formatFlag(c, "text", "json", "yaml")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		d := &doctor{s: s, f: f}
		if d.offline() {
			d.online(cmd.Context(), *knock)
		}
		return d.report()
	}
	return c
}

// doctor collects findings.
type doctor struct {
	s        *session
	f        *format
	c        *cluster
	findings []view.Finding
}

func (d *doctor) find(about string, err error, good string, args ...any) bool {
	one := view.Finding{About: about, Verdict: view.FindingGood, Message: fmt.Sprintf(good, args...)}
	if err != nil {
		known := explain(d.s.refine(err))
		one = view.Finding{About: about, Verdict: view.FindingBad, Message: firstLine(known.Error()), Advice: d.s.called(known.advice)}
	}
	d.findings = append(d.findings, one)
	return err == nil
}

func (d *doctor) warn(about, advice, text string, args ...any) {
	d.findings = append(d.findings, view.Finding{About: about, Verdict: view.FindingDoubtful, Message: fmt.Sprintf(text, args...), Advice: d.s.called(advice)})
}

func (d *doctor) report() error {
	done, err := d.s.data(d.f, d.findings)
	if !done {
		err = d.s.print(view.Findings(d.findings, d.s.width())...)
	}
	for _, one := range d.findings {
		if err == nil && one.Verdict == view.FindingBad {
			return quiet(codeFailed)
		}
	}
	return err
}

// offline looks at what needs no cluster; false: there is none to go on with.
func (d *doctor) offline() bool {
	d.find("program", nil, "keelway %s, speaks %s", version(), v1alpha1.GroupVersion)
	recipes, err := catalog.Builtin()
	d.find("recipes", err, "%d built in", len(recipeNames()))
	if err == nil {
		_, err := manifest.Validate(nil, recipes)
		d.find("schemas", err, "the built-in CRDs can be read")
	}
	raw, err := d.s.config.ToRawKubeConfigLoader().RawConfig()
	if err == nil {
		d.c, err = d.s.connect()
	}
	at := raw.CurrentContext
	if d.s.config.Context != nil && *d.s.config.Context != "" {
		at = *d.s.config.Context
	}
	if !d.find("kubeconfig", err, "context %q", at) {
		return false
	}
	d.findings[len(d.findings)-1].Message += ", " + d.c.config.Host + ", namespace " + d.c.namespace
	return true
}

func (d *doctor) online(ctx context.Context, knock bool) {
	config := rest.CopyConfig(d.c.config)
	config.Timeout = 10 * time.Second
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		d.find("cluster", err, "")
		return
	}
	server, err := found.ServerVersion()
	if err != nil {
		d.find("cluster", fmt.Errorf("asking for its version: %w", err), "")
		return
	}
	d.find("cluster", nil, "Kubernetes %s", server.GitVersion)
	d.clock(ctx, config)
	if d.crds(ctx, found) {
		d.permissions(ctx)
		d.providers(ctx)
		d.servers(ctx, knock)
	}
}

// maxSkew is how far the clocks may differ before leases and tokens suffer.
const maxSkew = 10 * time.Second

func (d *doctor) clock(ctx context.Context, config *rest.Config) {
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/version", nil)
	if err != nil {
		return
	}
	before := d.s.now()
	answer, err := httpClient.Do(request)
	if err != nil {
		return
	}
	answer.Body.Close()
	there, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	skew := there.Sub(before).Round(time.Second)
	if skew.Abs() > maxSkew {
		d.warn("clock", "set the clocks of this machine and the cluster by NTP", "the cluster's differs by %s from this machine's", skew)
		return
	}
	d.find("clock", nil, "the cluster's is this machine's, within %s", max(skew.Abs(), time.Second))
}

// crds compares what is served with what this program was built with.
func (d *doctor) crds(ctx context.Context, found *discovery.DiscoveryClient) bool {
	list, err := found.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		return d.find("CRDs", fmt.Errorf("asking for %s: %w", v1alpha1.GroupVersion, err), "")
	}
	served := map[string]bool{}
	for _, r := range list.APIResources {
		served[r.Kind] = true
	}
	missing := ""
	for _, name := range append(kindNames(), "Checkpoint") {
		if !served[name] {
			missing += " " + name
		}
	}
	if missing != "" {
		return d.find("CRDs", failed(codeUnreachable, "upgrade them: kubectl apply --server-side -k config/crd, or the chart keelway-crds", "kinds are missing:%s", missing), "")
	}
	others, err := strangers(ctx, d.c)
	switch {
	case err != nil: // who may not read CRDs works all the same
		return d.find("CRDs", nil, "%s with all %d kinds", v1alpha1.GroupVersion, len(kinds)+1)
	case len(others) > 0:
		d.warn("CRDs", "use a keelway of the operator's release, or upgrade the CRDs and the operator", "%s with all %d kinds, and other schemas than this program has: %s",
			v1alpha1.GroupVersion, len(kinds)+1, strings.Join(others, ", "))
		return true
	}
	return d.find("CRDs", nil, "%s with all %d kinds, as this program knows them", v1alpha1.GroupVersion, len(kinds)+1)
}

func kindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.Kind)
	}
	return names
}

// needed are the permissions that the verbs of this program use. Secrets are read by those that go to a machine or ask a cloud.
var needed = []struct{ group, resource, verbs string }{
	{ourGroup, "batchworkflows", "get list watch create patch"}, {ourGroup, "servers", "get list create patch"}, {ourGroup, "taskservices", "get list create patch"},
	{ourGroup, "runs", "get list create patch"}, {ourGroup, "providers", "get list create patch"}, {ourGroup, "checkpoints", "get"}, {"", "secrets", "get"},
}

var ourGroup = v1alpha1.GroupVersion.Group

func (d *doctor) permissions(ctx context.Context) {
	missing := ""
	for _, n := range needed {
		for _, verb := range strings.Fields(n.verbs) {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: d.c.namespace, Verb: verb, Group: n.group, Resource: n.resource}}}
			if err := d.c.Create(ctx, review); err != nil {
				d.find("permissions", fmt.Errorf("asking what you may do: %w", err), "")
				return
			}
			if !review.Status.Allowed {
				missing += ", " + verb + " " + n.resource
			}
		}
	}
	if missing != "" {
		d.warn("permissions", "ask whoever manages the cluster for what you need of these", "in namespace %s you may not: %s", d.c.namespace, missing[2:])
		return
	}
	d.find("permissions", nil, "you may see and steer everything in namespace %s", d.c.namespace)
}
