# Containers outlive containerd: what still runs is ended first. With a package that was there before they are somebody else's.
if kw_recorded package containerd && kw_daemon_alive containerd; then
	for space in $(ctr namespaces ls -q); do
		for container in $(ctr -n "$space" tasks ls -q); do
			ctr -n "$space" tasks kill -s SIGKILL "$container" || :
			ctr -n "$space" tasks rm --force "$container" >/dev/null || :
		done
	done
fi
kw_remove_all
