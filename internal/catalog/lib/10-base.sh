# Keelway's shell library, POSIX sh. Every script of a recipe begins with it.
#
# Given by the runner: KEELWAY_RUN (this run's directory, with inputs/ in it). Given by the server: KEELWAY_ROOT (empty on a real
# machine; on a Process server the directory that everything lives below). Given by the catalog: KW_… (see Recipe.Render).
#
# Paths that functions take are logical: /etc/x means "$KEELWAY_ROOT/etc/x". Results of a script: 0 as wanted; 10 differs, apply is
# needed; 11 not yet; 12 download failed; 13 checksum mismatch; 14 machine unsuitable; 15 no room on the disk; anything else: failed.
# The last line of stderr says what failed. What is made is recorded on the machine *before* it is made, so that remove finds it
# after any crash.
set -eu
umask 022
export LC_ALL=C

KEELWAY_ROOT=${KEELWAY_ROOT:-}
KEELWAY_ROOT=${KEELWAY_ROOT%/}
: "${KEELWAY_RUN:?is not set}" "${KW_SERVICE:?is not set}"
KW_INPUTS=$KEELWAY_RUN/inputs
KW_WORK=$KEELWAY_RUN/work
KW_SERVICES=/var/lib/keelway/services
KW_HOME=$KW_SERVICES/$KW_SERVICE
KW_RECORD=$KEELWAY_ROOT$KW_HOME/record
KW_TAB=$(printf '\t')

trap 'rm -rf "$KW_WORK"' EXIT
mkdir -p "$KW_WORK"
chmod 0700 "$KW_WORK"

# kw_fail CODE MESSAGE…: ends the script; the message is its root cause.
kw_fail() {
	kw_code=$1
	shift
	printf '%s: %s\n' "$KW_SERVICE" "$*" >&2
	exit "$kw_code"
}

kw_note() { printf '%s: %s\n' "$KW_SERVICE" "$*" >&2; }

# kw_pause: a fifth of a second, or a whole one where sleep knows no fractions.
kw_pause() { sleep 0.2 2>/dev/null || sleep 1; }

# kw_text NAME VALUE: a text parameter: from the file, when it comes from a Secret, and otherwise the value.
kw_text() {
	if [ -f "$KW_INPUTS/secret-$1" ]; then cat "$KW_INPUTS/secret-$1"; else printf '%s' "$2"; fi
}

kw_is_root() { [ "$(id -u)" = 0 ]; }

# kw_recorded KIND VALUE: whether this service made it. Kinds: dir file data daemon package dependency user; saved (a file that was
# there before), replaced (a package that had to go), unit (a unit that was there before, with its state); fixed restart reload.
kw_recorded() { [ -f "$KW_RECORD" ] && grep -qxF -e "$1$KW_TAB$2" "$KW_RECORD"; }

# kw_recorded_elsewhere KIND VALUE: whether another service on this server made it, or shares it.
kw_recorded_elsewhere() {
	grep -lsxF -e "$1$KW_TAB$2" "$KEELWAY_ROOT$KW_SERVICES"/*/record | grep -qvxF -e "$KW_RECORD"
}

# kw_recorded_values KIND
kw_recorded_values() {
	[ ! -f "$KW_RECORD" ] || sed -n "s/^$1$KW_TAB//p" "$KW_RECORD"
}

kw_record() {
	if kw_recorded "$1" "$2"; then return 0; fi
	if [ ! -d "${KW_RECORD%/*}" ]; then
		kw_parents=$(kw_new_dirs "$KW_HOME")
		mkdir -p "${KW_RECORD%/*}"
		for kw_parent in $kw_parents; do printf 'dir\t%s\n' "$kw_parent" >>"$KW_RECORD"; done
	fi
	printf '%s\t%s\n' "$1" "$2" >>"$KW_RECORD"
}

kw_unrecord() {
	if kw_recorded "$1" "$2"; then
		grep -vxF -e "$1$KW_TAB$2" "$KW_RECORD" >"$KW_RECORD.new" || :
		mv -f "$KW_RECORD.new" "$KW_RECORD"
	fi
}

# kw_new_dirs PATH: the directories on the way to PATH that do not exist, or that a service of ours made: the last one to leave
# takes them along.
kw_new_dirs() (
	case $1 in /*) at=$1 ;; *) kw_fail 1 "$1 is no absolute path" ;; esac
	while [ -n "$at" ]; do
		if [ ! -d "$KEELWAY_ROOT$at" ]; then
			printf '%s\n' "$at"
		elif grep -qsxF -e "dir$KW_TAB$at" "$KEELWAY_ROOT$KW_SERVICES"/*/record; then
			printf '%s\n' "$at"
		fi
		at=${at%/*}
	done
)

# kw_dir PATH [MODE]
kw_dir() {
	for kw_new in $(kw_new_dirs "$1"); do kw_record dir "$kw_new"; done
	mkdir -p "$KEELWAY_ROOT$1"
	if [ $# -gt 1 ]; then chmod "$2" "$KEELWAY_ROOT$1"; fi
}

# kw_claim KIND VALUE…: records what is not there yet, because a package is about to make it and would forget it on removal. Kinds:
# file, data (a directory with all that is in it), user. What was there before is nobody's to delete.
kw_claim() {
	kw_kind=$1
	shift
	for kw_value; do
		case $kw_kind in
		user) id "$kw_value" >/dev/null 2>&1 && continue ;;
		*) [ -e "$KEELWAY_ROOT$kw_value" ] && continue ;;
		esac
		kw_record "$kw_kind" "$kw_value"
	done
}

# kw_fixed NAME VALUE: what cannot change once the service has data. The first value stays, until kw_unfix.
kw_fixed() {
	for kw_old in $(kw_recorded_values fixed | grep "^$1=" || :); do
		[ "$kw_old" = "$1=$2" ] || kw_fail 1 "$1 cannot change from ${kw_old#*=} to $2 while this server holds data; set it back, or remove the service here first"
		return 0
	done
	kw_record fixed "$1=$2"
}

kw_unfix() {
	for kw_old in $(kw_recorded_values fixed); do kw_unrecord fixed "$kw_old"; done
}

# kw_data PATH [MODE]: a directory that holds the service's data and goes with it. Never takes over what somebody else put there.
kw_data() {
	if ! kw_recorded data "$1"; then
		if [ -d "$KEELWAY_ROOT$1" ] && [ -n "$(ls -A "$KEELWAY_ROOT$1")" ]; then
			kw_fail 1 "$1 is not empty and this service did not make it; move it away or choose another directory"
		fi
		kw_record data "$1"
	fi
	kw_dir "${1%/*}"
	mkdir -p "$KEELWAY_ROOT$1"
	chmod "${2:-0755}" "$KEELWAY_ROOT$1"
}
