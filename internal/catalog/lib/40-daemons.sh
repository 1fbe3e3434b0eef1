# Daemons: units of systemd where that runs the machine, and plain background processes elsewhere and on every Process server.

# kw_init: who runs daemons here. Never systemd below a root: that would be the systemd of the machine around it.
kw_init() {
	if [ -z "$KEELWAY_ROOT" ] && [ -d /run/systemd/system ]; then echo systemd; else echo plain; fi
}

kw_unit_path() {
	if [ "$(kw_init)" = systemd ]; then echo "/etc/systemd/system/$1.service"; else echo "$KW_HOME/$1.service"; fi
}

# kw_unit_wanted NAME: puts the unit as it should be into the work directory. A plain daemon's keeps the mark of the root, because
# its command is split at blanks before a root that may hold some is put in.
kw_unit_wanted() {
	if [ "$(kw_init)" = systemd ]; then kw_expand "$KW_INPUTS/unit-$1"; else cat "$KW_INPUTS/unit-$1"; fi >"$KW_WORK/unit-$1"
}

# kw_daemon_ensure NAME: the unit of recipe.yaml runs, with the files that it was last given. Restarts only for a change.
kw_daemon_ensure() {
	kw_unit_wanted "$1"
	kw_record daemon "$1"
	kw_file "$KW_WORK/unit-$1" "$(kw_unit_path "$1")" 0644 "$1"
	"kw_$(kw_init)_ensure" "$1"
	kw_unrecord restart "$1"
}

# kw_daemon_check NAME: ends with 10 unless the daemon runs with its present unit and files.
kw_daemon_check() {
	kw_unit_wanted "$1"
	kw_same "$KW_WORK/unit-$1" "$KEELWAY_ROOT$(kw_unit_path "$1")" 0644 || kw_fail 10 "the unit of $1 is missing or differs"
	if kw_recorded restart "$1"; then kw_fail 10 "$1 has not been restarted since its files changed"; fi
	kw_daemon_alive "$1" || kw_fail 10 "$1 does not run"
}

kw_daemon_alive() { "kw_$(kw_init)_alive" "$1"; }

# kw_daemon_log NAME [LINES]: the end of what it printed.
kw_daemon_log() { "kw_$(kw_init)_log" "$1" "${2:-5}"; }

# kw_daemon_died NAME: fails with the daemon's own last words.
kw_daemon_died() {
	kw_daemon_log "$1" 5 >&2 || :
	kw_last=$(kw_daemon_log "$1" 20 | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-600) || kw_last=
	kw_fail 1 "$1 ended right after its start: ${kw_last:-it printed nothing}"
}

# kw_daemon_remove NAME: stops it for good; its files go with kw_remove_all.
kw_daemon_remove() { "kw_$(kw_init)_remove" "$1"; }

# --- plain ---

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

# --- systemd ---

kw_systemd_alive() { systemctl is-active --quiet "$1.service"; }
kw_systemd_log() { journalctl -u "$1.service" -n "$2" --no-pager -o cat; }

kw_systemd_ensure() {
	if kw_recorded restart "$1"; then
		systemctl daemon-reload
		systemctl enable --quiet "$1.service"
		systemctl restart "$1.service" || kw_daemon_died "$1"
	else
		systemctl start "$1.service" || kw_daemon_died "$1"
	fi
	for kw_wait in 1 2 3 4 5; do
		kw_systemd_alive "$1" || kw_daemon_died "$1"
		kw_pause
	done
}

kw_systemd_remove() {
	systemctl disable --now --quiet "$1.service" || systemctl stop "$1.service" || :
	rm -f "$KEELWAY_ROOT$(kw_unit_path "$1")"
	systemctl daemon-reload
	if kw_systemd_alive "$1"; then kw_fail 1 "$1 does not end"; fi
}
