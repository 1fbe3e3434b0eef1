kw_claim user _chrony
kw_daemon_hold chrony
kw_replaces=systemd-timesyncd
kw_pkg_service chrony

# A configuration that chronyd refuses never takes the place of one that works.
said=$(chronyd -p -f "$(kw_candidate /etc/chrony/chrony.conf)" 2>&1) ||
	kw_fail 1 "chronyd refuses its configuration: $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-300)"
if [ "$KW_PARAM_ADJUST_CLOCK" = true ]; then
	rights=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
	[ $((0x$rights >> 25 & 1)) = 1 ] || kw_fail 14 "nobody may adjust the clock of this machine, which is a container: set adjustClock to false"
fi
kw_files_apply
kw_daemon_ensure chrony
