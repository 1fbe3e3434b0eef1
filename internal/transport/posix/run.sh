# keelway-exec MARK BYTES PROGRAM [ARGUMENT…]: says in one line on stdout who it is, and becomes PROGRAM. The first BYTES of its input are
# settings, so that no value of a variable stands among anybody's arguments.
mark=$1 bytes=$2
shift 2
if [ "$bytes" != 0 ]; then eval "$(dd bs=1 count="$bytes" 2>/dev/null)"; fi
if ! command -v "$1" >/dev/null 2>&1; then
	printf '%s missing\n' "$mark"
	exit 127
fi
printf '%s %s\n' "$mark" "$(cat "/proc/$$/stat")"
exec "$@"
