# A process is its number and its start time, so that a number that the kernel gave away again fools nobody.
born() {
	read -r line <"/proc/$1/stat" || return 0
	set -- ${line##*) }
	echo "${20}"
} 2>/dev/null

identify() { echo "$1 $(born "$1")"; }

tick() { sleep 0.2 2>/dev/null || sleep 1; }

# in_group LEADER: somebody of the group lives. Zombies do not count: where nobody reaps them they stay for ever.
in_group() {
	for stat in /proc/[0-9]*/stat; do
		read -r line <"$stat" || continue
		leader=$1
		set -- ${line##*) }
		if [ "$3" = "$leader" ] && [ "$1" != Z ]; then return 0; fi
		set -- "$leader"
	done
	return 1
} 2>/dev/null

# until_gone LEADER SECONDS
until_gone() {
	deadline=$(($(date +%s) + $2))
	while in_group "$1"; do
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		tick
	done
}

# end_group FILE: asks the group of the process that FILE identifies to end, and ends it 10 s later. A leader that is gone is
# fine: the kernel gives no number away while a group bears it.
end_group() {
	read -r pid since 2>/dev/null <"$1" || return 0
	now=$(born "$pid")
	[ -z "$now" ] || [ "$now" = "$since" ] || return 0
	kill -s TERM -- "-$pid" 2>/dev/null
	until_gone "$pid" 10 && return 0
	kill -s KILL -- "-$pid" 2>/dev/null
	until_gone "$pid" 2
	return 0
}
