package controlplane

import (
	"fmt"
	"path/filepath"
	"strings"
)

const (
	loopback = "127.0.0.1"
	issuer   = "https://kubernetes.default.svc"
)

// etcdArgs are the flags of a single etcd that only holders of its own authority's certificates may talk to.
func (c *ControlPlane) etcdArgs(clientPort, peerPort int, pair credential) []string {
	client, peer := local(clientPort), local(peerPort)
	args := []string{
		"--name=default",
		"--data-dir=" + filepath.Join(c.dir, "etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--quota-backend-bytes=8589934592", // benchmarks write more than the default of 2 GiB
		"--log-level=warn",
	}
	for _, prefix := range []string{"--", "--peer-"} {
		args = append(args, prefix+"cert-file="+pair.certPath, prefix+"key-file="+pair.keyPath,
			prefix+"trusted-ca-file="+c.etcdCA.path, prefix+"client-cert-auth=true")
	}
	if c.options.NoFsync {
		args = append(args, "--unsafe-no-fsync=true")
	}
	return args
}

// apiServerArgs are the flags of the API server. What a test says itself replaces ours of the same name.
func (c *ControlPlane) apiServerArgs(port int, serving, etcdClient credential) []string {
	args := []string{
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + serving.certPath,
		"--tls-private-key-file=" + serving.keyPath,
		"--client-ca-file=" + c.ca.path,
		"--etcd-servers=" + c.etcdURL,
		"--etcd-cafile=" + c.etcdCA.path,
		"--etcd-certfile=" + etcdClient.certPath,
		"--etcd-keyfile=" + etcdClient.keyPath,
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + issuer,
		"--service-account-signing-key-file=" + filepath.Join(c.pkiDir(), serviceAccountKey),
		"--service-account-key-file=" + filepath.Join(c.pkiDir(), serviceAccountKey+".pub"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=true",
		// The default one refuses loopback addresses and says so every ten seconds.
		"--endpoint-reconciler-type=none",
	}
	if c.options.NoControllerManager {
		// Nobody makes service accounts then, and the plugin would refuse every pod for want of one.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	if c.options.AuditLog {
		args = append(args, "--audit-policy-file="+c.auditPolicyPath(), "--audit-log-path="+c.AuditLog(),
			"--audit-log-maxsize=1024", "--audit-log-maxbackup=1")
	}
	return override(args, c.options.APIServerArgs)
}

// controllerManagerArgs are the flags of the controller manager. Its defaults of 20 requests a second and of few workers are
// made for clusters that other people use too: the deletion of a thousand objects would take a minute.
func (c *ControlPlane) controllerManagerArgs(kubeconfig string) []string {
	return override([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--secure-port=0", // nobody asks it anything: we see that it works by what it makes
		"--leader-elect=false",
		// It makes this directory when it is not there, by default under /usr.
		"--flex-volume-plugin-dir=" + filepath.Join(c.dir, "flexvolume"),
		"--root-ca-file=" + c.ca.path,
		"--service-account-private-key-file=" + filepath.Join(c.pkiDir(), serviceAccountKey),
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--concurrent-gc-syncs=30",
		"--concurrent-namespace-syncs=20",
	}, c.options.ControllerManagerArgs)
}

// override appends extra flags and drops those of ours that they name, as some flags add up when given twice.
func override(args, extra []string) []string {
	named := map[string]bool{}
	for _, arg := range extra {
		named[flagName(arg)] = true
	}
	var out []string
	for _, arg := range args {
		if !named[flagName(arg)] {
			out = append(out, arg)
		}
	}
	return append(out, extra...)
}

func flagName(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	return name
}

func local(port int) string { return fmt.Sprintf("https://%s:%d", loopback, port) }
