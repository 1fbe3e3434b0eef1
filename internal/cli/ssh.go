package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/transport"
)

func (s *session) verbSSH() *cobra.Command {
	c := &cobra.Command{
		Use:   "ssh SERVER [-- ARG...]",
		Short: "Open a shell on a server with your own ssh and the pinned host keys",
		Long: `ssh starts the ssh of this machine for a Server that is reached over SSH. It trusts the host keys that Keelway pinned and no others. The
key is that of the Secret, if you may read it (it is kept in a private directory until ssh ends), else your own; --own-key takes yours
in any case. What stands behind the dashes is handed to ssh.`,
		Example: "  keelway ssh web-1\n  keelway ssh web-1 -- journalctl -u etcd",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: s.completeNames(mustKind("server")),
	}
	own := c.Flags().Bool("own-key", false, "do not read the Secret: use your own keys")
	c.RunE = func(cmd *cobra.Command, args []string) error { return s.ssh(cmd.Context(), args[0], args[1:], *own) }
	return of(mustKind("server"), c)
}

func (s *session) ssh(ctx context.Context, name string, args []string, own bool) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	server := &v1alpha1.Server{}
	if err := c.get(ctx, mustKind("server"), name, server); err != nil {
		return err
	}
	access := connect.Access(server.Status.Access)
	switch {
	case access.Transport == "":
		return failed(codeFailed, "keelway get servers shows how far it is", "Server %s has no machine that can be reached yet", name)
	case access.Transport != transport.SSH:
		return failed(codeFailed, s.name+" exec "+name+" -- COMMAND runs a command there", "Server %s is not reached over SSH but by transport %s", name, access.Transport)
	case len(server.Status.HostKeys) == 0:
		return failed(codeFailed, "wait until it is Reachable", "no host key of Server %s is pinned yet, and a stranger is not talked to", name)
	}
	dir, err := os.MkdirTemp("", "keelway-ssh-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	key := ""
	if !own {
		if key, err = s.sshKey(ctx, c, access.Secret, dir); err != nil {
			return err
		}
	}
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(knownHosts(access, server.Status.HostKeys)), 0o600); err != nil {
		return err
	}
	return s.runSSH(ctx, append(sshArgs(access, known, key), args...))
}

// sshKey writes the key of a Secret into a file; "" when there is none that may be read.
func (s *session) sshKey(ctx context.Context, c *cluster, secret, dir string) (string, error) {
	if secret == "" {
		return "", nil
	}
	found := &corev1.Secret{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: secret}, found)
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		s.note("Secret %s with the key cannot be read: your own keys are tried", secret)
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading Secret %s: %w", secret, err)
	case len(found.Data[corev1.SSHAuthPrivateKey]) == 0:
		s.note("Secret %s has no %s: your own keys are tried", secret, corev1.SSHAuthPrivateKey)
		return "", nil
	}
	path := filepath.Join(dir, "key")
	return path, os.WriteFile(path, found.Data[corev1.SSHAuthPrivateKey], 0o600)
}

// knownHosts are the lines that ssh believes: the machine's, and those of the host that connections go through.
func knownHosts(a transport.Access, pinned []string) string {
	var out strings.Builder
	write := func(host string, port int32, keys []string) {
		at := host
		if port != 0 && port != 22 {
			at = "[" + host + "]:" + strconv.Itoa(int(port))
		}
		for _, key := range keys {
			fmt.Fprintf(&out, "%s %s\n", at, strings.TrimSpace(key))
		}
	}
	write(sshHost(a), a.Port, pinned)
	if a.Jump != nil {
		write(a.Jump.Host, a.Jump.Port, a.Jump.HostKeys)
	}
	return out.String()
}

func sshHost(a transport.Access) string {
	if a.Host != "" {
		return a.Host
	}
	return a.Address
}

// sshArgs are what ssh is started with.
func sshArgs(a transport.Access, known, key string) []string {
	options := []string{"-o", "UserKnownHostsFile=" + known, "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"}
	if key != "" {
		options = append(options, "-i", key, "-o", "IdentitiesOnly=yes")
	}
	args := append([]string{}, options...)
	if a.Jump != nil {
		through := append(append([]string{"ssh"}, options...), "-W", "%h:%p")
		if a.Jump.Port != 0 {
			through = append(through, "-p", strconv.Itoa(int(a.Jump.Port)))
		}
		if a.Jump.User != "" {
			through = append(through, "-l", a.Jump.User)
		}
		args = append(args, "-o", "ProxyCommand="+strings.Join(append(through, a.Jump.Host), " "))
	}
	if a.Port != 0 {
		args = append(args, "-p", strconv.Itoa(int(a.Port)))
	}
	user := a.User
	if user == "" {
		user = "root"
	}
	return append(args, "-l", user, "--", sshHost(a))
}

func (s *session) runSSH(ctx context.Context, args []string) error {
	path, err := exec.LookPath("ssh")
	if err != nil {
		return failed(codeFailed, "install an OpenSSH client, or use "+s.name+" exec", "there is no ssh on this machine: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	err = cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() > 0 {
		return quiet(ended.ExitCode())
	}
	return err
}
