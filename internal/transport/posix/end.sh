# keelway-end PID GROUP START: ends the process group of a program that run.sh became. A process of that number which started at another
# time is a stranger; where there is none, the group holds only what the program left behind.
pid=$1 group=$2 start=$3
stat=$(cat "/proc/$pid/stat" 2>/dev/null) || stat=
if [ -n "$stat" ]; then
	set -f
	# shellcheck disable=SC2086 # fields
	set -- ${stat##*) }
	shift 19
	[ "$1" = "$start" ] || exit 0
fi
kill -s KILL -- "-$group" 2>/dev/null || :
