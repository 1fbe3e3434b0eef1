package cli

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/transport"
)

// providers tells what they say of credentials.
func (d *doctor) providers(ctx context.Context) {
	list := &v1alpha1.ProviderList{}
	if err := d.c.List(ctx, list, client.InNamespace(d.c.namespace), client.Limit(maxNames)); err != nil {
		d.find("providers", fmt.Errorf("listing Providers: %w", err), "")
		return
	}
	if len(list.Items) == 0 {
		d.warn("providers", "apply one: examples/provider has some", "none in namespace %s: no server can be made", d.c.namespace)
	}
	for i := range list.Items {
		p := &list.Items[i]
		about := "provider " + p.Name
		switch judge(p) {
		case well:
			d.find(about, nil, "ready, %s", p.Status.Account)
		case badly:
			d.find(about, failed(codeFailed, "docs/errors.md explains the reason", "%s", message(p)), "")
		default:
			advice := ""
			if p.Status.ObservedGeneration < p.Generation {
				advice = "nobody looks at it: does the operator run?"
			}
			d.warn(about, advice, "not ready: %s", message(p))
		}
	}
}

// servers tells which ones do not answer to the operator, and with knock also which do not answer to us.
func (d *doctor) servers(ctx context.Context, knock bool) {
	list := &v1alpha1.ServerList{}
	if err := d.c.List(ctx, list, client.InNamespace(d.c.namespace), client.Limit(maxNames)); err != nil {
		d.find("servers", fmt.Errorf("listing Servers: %w", err), "")
		return
	}
	reached, doors := 0, 0
	for i := range list.Items {
		v := &list.Items[i]
		condition := meta.FindStatusCondition(v.Status.Conditions, v1alpha1.ReachableCondition)
		switch {
		case condition != nil && condition.Status == metav1.ConditionTrue:
			reached++
		case condition != nil && condition.Status == metav1.ConditionFalse:
			d.find("server "+v.Name, failed(codeFailed, "docs/errors.md explains the reason", "the operator cannot reach it: %s: %s", condition.Reason, condition.Message), "")
		default:
			d.warn("server "+v.Name, "", "not reached yet: %s", message(v))
		}
		if a := v.Status.Access; knock && a != nil && a.Transport == transport.SSH && a.Jump == nil {
			doors++
			d.knock(ctx, v.Name, a)
		}
	}
	d.find("servers", nil, "%d of %d answer to the operator", reached, len(list.Items))
	if knock && doors == 0 {
		d.find("ssh", nil, "no Server of namespace %s is reached over SSH", d.c.namespace)
	}
}

func (d *doctor) knock(ctx context.Context, name string, a *v1alpha1.ServerAccess) {
	host, port := a.Host, int(a.Port)
	if host == "" {
		host = a.Address
	}
	if port == 0 {
		port = 22
	}
	at := net.JoinHostPort(host, strconv.Itoa(port))
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", at)
	if err != nil {
		d.warn("ssh "+name, "that the operator reaches it is enough; keelway ssh and exec go from here", "%s does not answer from here: %v", at, err)
		return
	}
	conn.Close()
	d.find("ssh "+name, nil, "%s answers from here", at)
}
