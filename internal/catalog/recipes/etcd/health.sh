kw_daemon_alive etcd || { kw_daemon_log etcd 5 >&2; kw_fail 1 "etcd does not run"; }

# A quorum forms within seconds once the last member is up; longer than that the next look may wait for.
tries=0
until "$KEELWAY_ROOT/usr/local/bin/etcdctl" --endpoints="http://$KW_HOST:$KW_PARAM_CLIENT_PORT" --dial-timeout=1s --command-timeout=2s endpoint health >"$KW_WORK/health" 2>&1; do
	kw_daemon_alive etcd || kw_daemon_died etcd
	tries=$((tries + 1))
	[ "$tries" -lt 7 ] || kw_fail 11 "etcd runs and is not healthy yet: $(tail -n 1 "$KW_WORK/health" | cut -c 1-300)"
	kw_pause
done
