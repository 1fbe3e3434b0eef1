# start: standard input is a tar archive of the run; its last entry, "complete", tells a whole upload from a torn one.
# The run's directory is nobody's claim; the lock on its file "alive" is. Whoever holds it may fill the directory, and hands
# the very lock on to the supervisor. A start that dies leaves at worst a directory that the next start fills anew.
missing=
for tool in setsid tar mkfifo; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
flock --version >/dev/null 2>&1 || missing="$missing flock(util-linux)" # busybox's cannot wait for a time
[ -z "$missing" ] || fail "the machine lacks$missing" 71

mkdir -p "$run" && cd "$run" || exit 1
[ -e begun ] || [ -e exit ] && ok
exec 8>>alive
flock -w 1 8 || ok # somebody fills or supervises it
[ -e begun ] || [ -e exit ] && ok
if ! [ -e ready ]; then
	rm -rf inputs complete
	tar -xmof - 8>&- || fail "the upload could not be unpacked"
	[ -e complete ] || fail "the upload ended early"
	mv complete ready || exit 1
fi
# --fork and not "&": what a shell starts in the background ignores SIGINT for ever, and so would every daemon of the script.
# Older util-linux has no --fork: there that blemish stays.
setsid --fork sh ./supervise </dev/null >/dev/null 2>&1 || {
	setsid sh ./supervise </dev/null >/dev/null 2>&1 &
}
ok
