kw_artifact_current etcd || kw_fail 10 "etcd $KW_VERSION is not installed"
kw_files_check
kw_daemon_check etcd

# The peer port answers without a quorum, so the first member of a cluster passes before the others are there; whether the
# cluster works is for health to say.
KW_FETCH_SECONDS=2
tries=0
until kw_get "http://$KW_HOST:$KW_PARAM_PEER_PORT/version" "$KW_WORK/version" 2>/dev/null; do
	kw_daemon_alive etcd || kw_daemon_died etcd
	tries=$((tries + 1))
	[ "$tries" -lt 50 ] || kw_fail 11 "etcd runs and does not answer on its peer port yet"
	kw_pause
done
