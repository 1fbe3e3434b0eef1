package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/transport"
	transports "github.com/keelway/keelway/internal/transport/all"
)

// dockerHost is the Docker Engine that containers are reached at.
func (s *session) dockerHost() string {
	if host := s.Env("DOCKER_HOST"); host != "" {
		return host
	}
	return "unix:///var/run/docker.sock"
}

// on opens the way to the machine of a Server, does something there, and closes it again.
func (s *session) on(ctx context.Context, c *cluster, name string, do func(context.Context, transport.Transport) error) error {
	server := &v1alpha1.Server{}
	if err := c.get(ctx, mustKind("server"), name, server); err != nil {
		return err
	}
	if err := reachable(server); err != nil {
		return err
	}
	dialer := transports.New(transports.Options{Process: true, Docker: s.dockerHost()})
	defer dialer.Close()
	connector := connect.Connector{Dialer: dialer, Keys: &connect.Keys{Live: c, Now: time.Now}}
	tr, err := connector.Open(ctx, server)
	if err != nil {
		if access := server.Status.Access; access.SecretRef != nil && apierrors.IsForbidden(err) {
			return failed(codeUnreachable, "the SSH key is in a Secret that you may not read; "+s.name+" ssh "+name+" uses your own keys", "opening Server %s: %w", name, err)
		}
		return fmt.Errorf("opening Server %s: %w", name, err)
	}
	defer tr.Close()
	return do(ctx, tr)
}

// reachable says why a server's machine cannot be reached from here at all.
func reachable(server *v1alpha1.Server) error {
	access := server.Status.Access
	switch {
	case access == nil || access.Transport == "":
		return failed(codeFailed, "keelway get servers shows how far it is", "Server %s has no machine that can be reached yet", server.Name)
	case access.Transport == transport.Script:
		return failed(codeFailed, "", "Server %s is simulated (driver Memory): there is no machine to go to", server.Name)
	case access.Transport == transport.Process:
		if _, err := os.Stat(access.Target); err != nil {
			return failed(codeFailed, "", "Server %s lives in a directory of the machine that the operator runs on (driver Process), and this is another one: %w", server.Name, err)
		}
	}
	return nil
}

// secretsOf reads the values that a service gets from Secrets, so that they can be hidden from what is printed.
func (c *cluster) secretsOf(ctx context.Context, t *v1alpha1.TaskService) (values []string, err error) {
	for _, from := range t.Spec.ParametersFrom {
		if from.SecretKeyRef == nil {
			continue
		}
		secret := &corev1.Secret{}
		err := c.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: from.SecretKeyRef.Name}, secret)
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, failed(codeUnreachable, "ask for the verb get on secrets, or look at the message of "+t.Name+" with keelway describe",
				"the output may hold a value of Secret %s, which has to be read so that it can be hidden: %w", from.SecretKeyRef.Name, err)
		}
		values = append(values, string(secret.Data[from.SecretKeyRef.Key]))
	}
	return values, nil
}
