package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/keelway/keelway/api/v1alpha1"
)

// explain turns any error into what a person needs: what failed, what the other side said, and what to do next.
func explain(err error) *failure {
	if known, ok := errors.AsType[*failure](err); ok {
		if inner := explainCluster(known.err); inner != nil && known.advice == "" && (known.code == codeFailed || known.code == codeUnreachable) {
			return inner
		}
		return known
	}
	if known := explainCluster(err); known != nil {
		return known
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: codeTimeout, err: err}
	case strings.HasPrefix(text, "unknown command"), strings.Contains(text, "arg(s)"), isFlagError(err):
		return &failure{code: codeInvalid, err: err, advice: "keelway --help lists the verbs"}
	}
	return &failure{code: codeFailed, err: err}
}

func isFlagError(err error) bool {
	_, unknown := errors.AsType[*pflag.NotExistError](err)
	_, value := errors.AsType[*pflag.InvalidValueError](err)
	return unknown || value || strings.HasPrefix(err.Error(), "required flag")
}

// refine adds what only the cluster can tell: that it serves our kinds in another version.
func (s *session) refine(err error) error {
	if s.cluster == nil || !meta.IsNoMatchError(err) && !strings.Contains(err.Error(), "could not find the requested resource") {
		return err
	}
	config := rest.CopyConfig(s.cluster.config)
	config.Timeout = patience
	client, derr := discovery.NewDiscoveryClientForConfig(config)
	if derr != nil {
		return err
	}
	groups, derr := client.ServerGroups()
	if derr != nil {
		return err
	}
	for _, group := range groups.Groups {
		if group.Name != v1alpha1.GroupVersion.Group {
			continue
		}
		var served []string
		for _, v := range group.Versions {
			if served = append(served, v.GroupVersion); v.GroupVersion == v1alpha1.GroupVersion.String() {
				return err
			}
		}
		return failed(codeUnreachable, "use a keelway of that version, or upgrade the CRDs and the operator", "the cluster serves %s, and this keelway speaks %s: %w",
			strings.Join(served, ", "), v1alpha1.GroupVersion, err)
	}
	return err
}

// explainCluster knows the ways in which a cluster cannot be asked; nil for any other error.
func explainCluster(err error) *failure {
	unreachable := func(advice, format string, args ...any) *failure {
		return &failure{code: codeUnreachable, err: fmt.Errorf(format, args...), advice: advice}
	}
	_, dns := errors.AsType[*net.DNSError](err)
	_, operation := errors.AsType[*net.OpError](err)
	at, failedURL := errors.AsType[*url.Error](err)
	switch {
	case clientcmd.IsEmptyConfig(err):
		return unreachable("set KUBECONFIG, or give --kubeconfig", "no cluster is configured")
	case clientcmd.IsContextNotFound(err), clientcmd.IsConfigurationInvalid(err), noContext.MatchString(err.Error()):
		return unreachable("kubectl config get-contexts lists what there is", "the kubeconfig cannot be used: %w", err)
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource"):
		return unreachable("install or upgrade the CRDs (kubectl apply --server-side -k config/default, or the chart keelway-crds); keelway doctor looks closer",
			"the cluster does not serve %s: %w", v1alpha1.GroupVersion, err)
	case apierrors.IsForbidden(err):
		return unreachable(permission(err), "no permission: %w", err)
	case apierrors.IsUnauthorized(err):
		return unreachable("log in again, or give another --context", "the cluster does not know who you are: %w", err)
	case failedURL && (dns || operation || at.Timeout() || strings.Contains(at.Error(), "x509:") || strings.Contains(at.Error(), "tls:")):
		host := at.URL
		if u, perr := url.Parse(at.URL); perr == nil {
			host = u.Host
		}
		lost := unreachable("check the network and --context; kubectl cluster-info asks the same server", "the cluster at %s cannot be reached: %w", host, at.Err)
		lost.passing = !strings.Contains(at.Error(), "x509:")
		return lost
	}
	return nil
}

var noContext = regexp.MustCompile(`context "[^"]*" does not exist`)

var cannot = regexp.MustCompile(`cannot (\S+) resource "([^"]+)"(?: in API group "([^"]*)")?`)

// permission names the verb and the resource that are missing.
func permission(err error) string {
	m := cannot.FindStringSubmatch(err.Error())
	if m == nil {
		return "ask whoever manages the cluster for the permission that it names"
	}
	resource := m[2]
	if m[3] != "" {
		resource += "." + m[3]
	}
	return fmt.Sprintf("ask whoever manages the cluster for the verb %s on %s; keelway doctor lists all that is needed", m[1], resource)
}
