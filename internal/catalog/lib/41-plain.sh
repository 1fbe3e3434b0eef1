# Daemons where systemd does not run the machine: background processes, found again by pid, start time and boot.

kw_pid_file() { echo "$KEELWAY_ROOT/run/$1.pid"; }
kw_log_file() { echo "$KEELWAY_ROOT/var/log/$1.log"; }

# kw_start_time PID: when it started, in clock ticks since boot; fails when there is no such living process. The name in the
# second field may hold blanks and parentheses, so the fields are counted after the last of them.
kw_start_time() (
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || exit 1
	set -f
	# shellcheck disable=SC2086 # fields
	set -- ${stat##*) }
	case $1 in Z | X) exit 1 ;; esac
	shift 19
	printf '%s\n' "$1"
)

# kw_plain_pid NAME: its process id. The file names pid, start time and boot: a pid used again is not our daemon.
kw_plain_pid() (
	{ read -r pid start boot <"$(kw_pid_file "$1")"; } 2>/dev/null || exit 1
	[ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$(kw_start_time "$pid")" = "$start" ] && printf '%s\n' "$pid"
)

kw_plain_alive() { kw_plain_pid "$1" >/dev/null; }
kw_plain_enabled() { :; } # nobody starts plain daemons after a boot but the next look at the service

# kw_plain_log NAME LINES: only what was printed since the last start of this run.
kw_plain_log() { [ ! -f "$(kw_log_file "$1")" ] || tail -c "+$((${kw_log_from:-0} + 1))" "$(kw_log_file "$1")" | tail -n "$2"; }

kw_plain_ensure() {
	if kw_plain_alive "$1"; then
		if ! kw_recorded restart "$1"; then return 0; fi
		kw_plain_stop "$1"
	fi
	kw_plain_start "$1"
}

kw_plain_start() {
	command -v setsid >/dev/null 2>&1 || kw_fail 14 "setsid is missing on this machine"
	kw_name=$1
	kw_dir /run
	kw_dir /var/log
	kw_record file "/run/$kw_name.pid"
	kw_record file "/var/log/$kw_name.log"
	kw_trim_log "$(kw_log_file "$kw_name")"
	kw_log_from=$(wc -c <"$(kw_log_file "$kw_name")")
	rm -f "$(kw_pid_file "$kw_name")"
	kw_launch "$kw_name"
	kw_wait=0
	while [ ! -f "$(kw_pid_file "$kw_name")" ] && [ "$kw_wait" -lt 25 ]; do
		kw_pause
		kw_wait=$((kw_wait + 1))
	done
	for kw_wait in 1 2 3 4 5; do
		kw_plain_alive "$kw_name" || kw_daemon_died "$kw_name"
		kw_pause
	done
	kw_note "started $kw_name"
}

# kw_launch NAME: the unit's command, in a session of its own, without our input, output, open files (the runner's lock among
# them) and environment. KEELWAY_SERVER stays: deleting a Process server finds its processes by it.
kw_launch() (
	set -f
	command=$(sed -n 's/^ExecStart=//p' "$KEELWAY_ROOT$(kw_unit_path "$1")")
	pid_file=$(kw_pid_file "$1")
	log_file=$(kw_log_file "$1")
	set --
	for word in $command; do
		case $word in *@KEELWAY_ROOT@*) word=${word%%@KEELWAY_ROOT@*}$KEELWAY_ROOT${word#*@KEELWAY_ROOT@} ;; esac
		set -- "$@" "$word"
	done
	for variable in KEELWAY_ROOT KEELWAY_ADDRESS KEELWAY_SERVER; do
		eval "value=\${$variable:-}"
		[ -z "$value" ] || set -- "$variable=$value" "$@"
	done
	cd "$KEELWAY_ROOT/"
	# shellcheck disable=SC2016 # for the inner shell, which becomes the daemon and so writes the daemon's own pid
	setsid sh -c '
		read -r stat </proc/$$/stat
		start=$(set -- ${stat##*) }; shift 19; echo "$1")
		read -r boot </proc/sys/kernel/random/boot_id
		echo "$$ $start $boot" >"$1.new" && mv -f "$1.new" "$1"
		shift
		exec env -i "$@"
	' keelway-daemon "$pid_file" "PATH=$PATH" "HOME=${HOME:-/}" LANG=C.UTF-8 "$@" \
		</dev/null >>"$log_file" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
)

# kw_trim_log FILE: keeps the last MiB of a log beyond five, at every start.
kw_trim_log() {
	[ -f "$1" ] || : >"$1"
	if [ "$(wc -c <"$1")" -gt 5242880 ]; then
		tail -c 1048576 "$1" >"$1.kw-new"
		mv -f "$1.kw-new" "$1"
	fi
}

# kw_plain_stop NAME: asks, and after ten seconds insists. The daemon leads its own process group.
kw_plain_stop() (
	for turn in TERM KILL; do
		pid=$(kw_plain_pid "$1") || exit 0
		kill -s "$turn" -- "-$pid" 2>/dev/null || kill -s "$turn" "$pid" 2>/dev/null || :
		polls=0
		while kw_plain_alive "$1" && [ "$polls" -lt "${kw_plain_polls:-50}" ]; do
			kw_pause
			polls=$((polls + 1))
		done
	done
	if kw_plain_alive "$1"; then kw_fail 1 "$1 (pid $pid) does not end"; fi
)

kw_plain_remove() { kw_plain_stop "$1"; }
