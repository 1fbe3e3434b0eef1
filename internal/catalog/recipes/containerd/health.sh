kw_daemon_alive containerd || kw_fail 1 "containerd does not run: $(kw_daemon_words containerd)"
said=$(timeout 20 ctr --connect-timeout 5s plugins ls 2>&1) || kw_fail 1 "containerd does not answer: $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-200)"
for plugin in cri "$KW_PARAM_SNAPSHOTTER"; do
	state=$(printf '%s\n' "$said" | sed -n "s/^[^ ]* *$plugin .* \\([a-z][a-z]*\\) *$/\\1/p")
	[ "$state" = ok ] || kw_fail 1 "containerd runs and its plugin $plugin does not work: ${state:-it is not there}"
done
