# Daemons: units of systemd where that runs the machine, and plain background processes elsewhere and on every Process server.

# kw_init: who runs daemons here. Never systemd below a root: that would be the systemd of the machine around it.
kw_init() {
	if [ -z "$KEELWAY_ROOT" ] && [ -d /run/systemd/system ]; then echo systemd; else echo plain; fi
}

kw_unit_path() {
	if [ "$(kw_init)" = systemd ]; then echo "/etc/systemd/system/$1.service"; else echo "$KW_HOME/$1.service"; fi
}

# kw_unit_ours NAME: whether recipe.yaml holds the unit. Otherwise it comes with a package.
kw_unit_ours() { [ -f "$KW_INPUTS/unit-$1" ]; }

# kw_unit_wanted NAME: puts the unit as it should be into the work directory. A plain daemon's keeps the mark of the root, because
# its command is split at blanks before a root that may hold some is put in.
kw_unit_wanted() {
	if [ "$(kw_init)" = systemd ]; then kw_expand "$KW_INPUTS/unit-$1"; else cat "$KW_INPUTS/unit-$1"; fi >"$KW_WORK/unit-$1"
}

# kw_daemon_ensure NAME: the unit runs, with the files that it was last given. Restarts or reloads only for a change.
kw_daemon_ensure() {
	kw_record daemon "$1"
	if kw_unit_ours "$1"; then
		kw_unit_wanted "$1"
		kw_file "$KW_WORK/unit-$1" "$(kw_unit_path "$1")" 0644 "$1"
	fi
	"kw_$(kw_init)_ensure" "$1"
	kw_unrecord restart "$1"
	kw_unrecord reload "$1"
}

# kw_daemon_check NAME: ends with 10 unless the daemon runs, and will after a boot, with its present unit and files.
kw_daemon_check() {
	if kw_unit_ours "$1"; then
		kw_unit_wanted "$1"
		kw_same "$KW_WORK/unit-$1" "$KEELWAY_ROOT$(kw_unit_path "$1")" 0644 || kw_fail 10 "the unit of $1 is missing or differs"
	fi
	if kw_recorded restart "$1" || kw_recorded reload "$1"; then kw_fail 10 "$1 has not been restarted since its files changed"; fi
	kw_daemon_alive "$1" || kw_fail 10 "$1 does not run"
	"kw_$(kw_init)_enabled" "$1" || kw_fail 10 "$1 is not enabled: it would not run after a boot"
}

kw_daemon_alive() { "kw_$(kw_init)_alive" "$1"; }

# kw_daemon_log NAME [LINES]: the end of what it printed.
kw_daemon_log() { "kw_$(kw_init)_log" "$1" "${2:-5}"; }

# kw_daemon_died NAME: fails with the daemon's own last words.
kw_daemon_died() {
	kw_daemon_log "$1" 5 >&2 || :
	kw_fail 1 "$1 ended right after its start: $(kw_daemon_words "$1")"
}

# kw_daemon_words NAME: the last line that it printed.
kw_daemon_words() {
	kw_last=$(kw_daemon_log "$1" 20 | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-600) || kw_last=
	printf '%s\n' "${kw_last:-it printed nothing}"
}

# kw_daemon_remove NAME: stops it for good; its files go with kw_remove_all.
kw_daemon_remove() { "kw_$(kw_init)_remove" "$1"; }
