kw_claim data /var/lib/containerd
kw_claim data /run/containerd
kw_dir /etc/cni/net.d
kw_daemon_hold containerd
kw_pkg_service containerd

# A configuration that containerd refuses never takes the place of one that works.
said=$(containerd --config "$(kw_candidate /etc/containerd/config.toml)" config dump 2>&1) ||
	kw_fail 1 "containerd refuses its configuration: $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-300)"
kw_files_apply
kw_daemon_ensure containerd
