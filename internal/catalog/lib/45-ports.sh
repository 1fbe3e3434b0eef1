# Ports: who listens on one, found without any program but the kernel's own tables.

# kw_port_holders PORT: the processes that listen on the TCP port, on whatever address.
kw_port_holders() (
	port=$(printf '%04X' "$1")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _ _ _ _ _ inode _; do
		case "$state $local" in
		"0A "*":$port") find /proc/[0-9]*/fd -lname "socket:\\[$inode\\]" 2>/dev/null || : ;;
		esac
	done | cut -d/ -f3 | sort -un
)

# kw_port_foreign PORT DAEMON: one process that listens there and is not of the daemon's unit, empty when there is none.
kw_port_foreign() (
	for pid in $(kw_port_holders "$1"); do
		grep -qs "/$2\\.service" "/proc/$pid/cgroup" && continue
		[ -d "/proc/$pid" ] || continue
		printf 'process %s (%s)\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null || echo gone)"
		exit 0
	done
)

# kw_port_free PORT DAEMON: fails when somebody else has it.
kw_port_free() {
	kw_taker=$(kw_port_foreign "$1" "$2")
	[ -z "$kw_taker" ] || kw_fail 1 "port $1 is taken by $kw_taker: end it, or choose another port for $2"
}

# kw_port_check PORT DAEMON [CODE]: ends with the code (10) unless the daemon listens there. It is given five seconds.
kw_port_check() {
	for kw_wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
		for kw_pid in $(kw_port_holders "$1"); do
			if grep -qs "/$2\\.service" "/proc/$kw_pid/cgroup"; then return 0; fi
		done
		kw_daemon_alive "$2" || kw_fail "${3:-10}" "$2 does not run"
		kw_pause
	done
	kw_fail "${3:-10}" "$2 runs and does not listen on port $1: $(kw_daemon_words "$2")"
}
