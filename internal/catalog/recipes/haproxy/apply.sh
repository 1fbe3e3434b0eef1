kw_claim user haproxy
kw_claim data /var/lib/haproxy
kw_daemon_hold haproxy
kw_pkg_service haproxy
kw_port_free "$KW_PARAM_PORT" haproxy

# A configuration that haproxy refuses never takes the place of one that works.
said=$(haproxy -c -q -f "$(kw_candidate /etc/haproxy/haproxy.cfg)" 2>&1) ||
	kw_fail 1 "haproxy refuses its configuration: $(printf '%s\n' "$said" | grep ALERT | head -n 1 | cut -c 1-300)"
kw_files_apply
kw_daemon_ensure haproxy
