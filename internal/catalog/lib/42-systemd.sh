# Daemons where systemd runs the machine. Their units are recipe.yaml's, or come with a package.

kw_systemd_alive() { systemctl is-active --quiet "$1.service"; }
kw_systemd_enabled() { systemctl is-enabled --quiet "$1.service"; }

# kw_systemd_log NAME LINES: what the daemon itself printed, and what systemd says of it only when that is nothing.
kw_systemd_log() {
	kw_words=$(journalctl -q "_SYSTEMD_UNIT=$1.service" -n "$2" --no-pager -o cat)
	[ -n "$kw_words" ] || kw_words=$(journalctl -q -u "$1.service" -n "$2" --no-pager -o cat)
	printf '%s\n' "$kw_words"
}

# kw_daemon_hold NAME: to be called before the package that brings the unit is installed, which would otherwise start it with the
# distribution's configuration. The mask is this unit's alone and a boot ends it: other packages start their daemons as ever. A unit
# that is there already is somebody else's: its state is remembered, and comes back when the service goes.
kw_daemon_hold() {
	if systemctl cat "$1.service" >/dev/null 2>&1; then
		kw_recorded daemon "$1" || kw_record unit "$1 $(systemctl is-enabled "$1.service" 2>/dev/null || :) $(systemctl is-active "$1.service" || :)"
		kw_record daemon "$1"
	else
		kw_record daemon "$1"
		systemctl mask --quiet --runtime "$1.service"
	fi
}

kw_systemd_unhold() {
	if [ "$(readlink "/run/systemd/system/$1.service" || :)" = /dev/null ]; then systemctl unmask --quiet --runtime "$1.service"; fi
}

kw_systemd_ensure() {
	kw_systemd_unhold "$1"
	if kw_recorded restart "$1"; then
		systemctl daemon-reload
		systemctl reset-failed "$1.service" 2>/dev/null || : # a unit that failed too often in a row is not started again otherwise
		kw_systemd_enabled "$1" || systemctl enable --quiet "$1.service"
		systemctl restart "$1.service" || kw_daemon_died "$1"
	else
		kw_systemd_enabled "$1" || systemctl enable --quiet "$1.service"
		if kw_recorded reload "$1" && kw_systemd_alive "$1"; then
			systemctl reload "$1.service" || kw_fail 1 "$1 refused to load its configuration: $(kw_daemon_words "$1")"
		else
			systemctl reset-failed "$1.service" 2>/dev/null || :
			systemctl start "$1.service" || kw_daemon_died "$1"
		fi
	fi
	for kw_wait in 1 2 3 4 5; do
		kw_systemd_alive "$1" || kw_daemon_died "$1"
		kw_pause
	done
}

kw_systemd_remove() {
	kw_systemd_unhold "$1"
	if [ -z "$(kw_unit_before "$1")" ]; then
		if systemctl cat "$1.service" >/dev/null 2>&1; then systemctl disable --now --quiet "$1.service" || systemctl stop "$1.service" || :; fi
	else
		systemctl stop "$1.service" || :
	fi
	if kw_recorded file "$(kw_unit_path "$1")"; then
		rm -f "$KEELWAY_ROOT$(kw_unit_path "$1")"
		systemctl daemon-reload
	fi
	if kw_systemd_alive "$1"; then kw_fail 1 "$1 does not end"; fi
	systemctl reset-failed "$1.service" 2>/dev/null || :
}

# kw_unit_before NAME: "enabled active" and the like: the state of a unit that was there before this service.
kw_unit_before() { kw_recorded_values unit | sed -n "s/^$1 //p"; }

# kw_units_restore: units that were there before this service are again as they were, with the files that they had.
kw_units_restore() {
	kw_recorded_values unit | while read -r kw_unit kw_enabled kw_active; do
		systemctl daemon-reload
		case $kw_enabled in
		enabled) systemctl enable --quiet "$kw_unit.service" ;;
		disabled) systemctl disable --quiet "$kw_unit.service" ;;
		esac
		[ "$kw_active" != active ] || systemctl restart "$kw_unit.service" || kw_note "$kw_unit ran before and does not start again: $(kw_daemon_words "$kw_unit")"
	done
}
