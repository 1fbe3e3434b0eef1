# Files: written only when they differ, and what changed is remembered until the daemon that reads it was restarted.

# kw_same SRC DEST MODE [GROUP]: both paths as they are.
kw_same() {
	[ -f "$2" ] && [ ! -L "$2" ] && [ "$(stat -c %a "$2")" = "${3#0}" ] && [ "$(kw_sha "$1")" = "$(kw_sha "$2")" ] &&
		{ [ "${4:--}" = - ] || [ "$(stat -c %U:%G "$2")" = "root:$4" ]; }
}

# kw_file SRC DEST MODE [DAEMON…]: SRC as it is, DEST logical. kw_daemon_ensure restarts the daemons if this changed DEST, and only
# reloads those that are named as reload:DAEMON.
kw_file() {
	kw_src=$1
	kw_dest=$2
	kw_mode=$3
	shift 3
	kw_file_of - "$@"
}

# kw_file_of GROUP [DAEMON…]: the file belongs to root and that group; "-" is whoever runs this.
kw_file_of() {
	kw_group=$1
	shift
	if kw_same "$kw_src" "$KEELWAY_ROOT$kw_dest" "$kw_mode" "$kw_group"; then return 0; fi
	kw_other=$(grep -lsxF -e "file$KW_TAB$kw_dest" "$KEELWAY_ROOT$KW_SERVICES"/*/record | grep -vxF -e "$KW_RECORD" || :)
	if [ -n "$kw_other" ]; then
		kw_other=${kw_other%/record}
		kw_fail 1 "$kw_dest belongs to service ${kw_other##*/} on this server; two services cannot own one file"
	fi
	kw_save "$kw_dest"
	kw_dir "${kw_dest%/*}"
	kw_record file "$kw_dest"
	for kw_daemon; do
		case $kw_daemon in
		reload:*) kw_record reload "${kw_daemon#reload:}" ;;
		*) kw_record restart "$kw_daemon" ;;
		esac
	done
	kw_put "$kw_src" "$KEELWAY_ROOT$kw_dest"
	kw_note "wrote $kw_dest"
}

# kw_put SRC DEST: both as they are, with kw_mode and kw_group. DEST appears whole or stays as it was.
kw_put() {
	kw_said=$(cp "$1" "$2.kw-new" 2>&1) || {
		rm -f "$2.kw-new"
		case $kw_said in *"No space left"*) kw_fail 15 "writing $2: no space left on its disk" ;; esac
		kw_fail 1 "writing $2: $kw_said"
	}
	[ "$kw_group" = - ] || chown "root:$kw_group" "$2.kw-new"
	chmod "$kw_mode" "$2.kw-new"
	mv -f "$2.kw-new" "$2"
}

# kw_save PATH: keeps what somebody else has there, so that removing can put it back. What came with a package that this service
# installed goes with the package, so everything is saved before the first of those.
kw_save() {
	[ -e "$KEELWAY_ROOT$1" ] || return 0
	if kw_recorded file "$1" || kw_recorded saved "$1" || [ -n "$(kw_recorded_values package)" ]; then return 0; fi
	kw_record data "$KW_HOME/saved"
	mkdir -p "$KEELWAY_ROOT$KW_HOME/saved${1%/*}"
	cp -Pp "$KEELWAY_ROOT$1" "$KEELWAY_ROOT$KW_HOME/saved$1"
	kw_record saved "$1"
}

# kw_expand SRC: prints it with the server's root put in.
kw_expand() {
	sed "s|@KEELWAY_ROOT@|$(printf '%s' "$KEELWAY_ROOT" | sed 's/[\\&|]/\\&/g')|g" "$1"
}

# kw_files_apply: writes the files of recipe.yaml. kw_files_check: ends with 10 when one of them differs. kw_files_save: see kw_save.
kw_files_apply() { kw_each_file kw_file_apply; }
kw_files_check() { kw_each_file kw_file_check; }
kw_files_save() { kw_each_file kw_file_save; }

kw_file_apply() {
	kw_src=$1
	kw_dest=$2
	kw_mode=$3
	shift 3
	kw_file_of "$@"
}

kw_file_check() {
	kw_same "$1" "$KEELWAY_ROOT$2" "$3" "$4" || kw_fail 10 "$2 is missing or differs"
}

kw_file_save() { kw_save "$2"; }

# kw_candidate PATH: where a file of recipe.yaml stands before it takes its place, so that the program that reads it can judge it.
kw_candidate() {
	kw_candidate=
	kw_each_file kw_file_find "$1"
	[ -n "$kw_candidate" ] || kw_fail 1 "recipe.yaml has no file $1"
	printf '%s\n' "$kw_candidate"
}

kw_file_find() { [ "$2" != "$kw_sought" ] || kw_candidate=$1; }

# kw_each_file FUNCTION [PATH]: calls FUNCTION with the file as it should be, its path, mode, group and daemons.
kw_each_file() {
	kw_sought=${2:-}
	while IFS=$KW_TAB read -r kw_input kw_mode kw_group kw_path kw_daemons <&3; do
		kw_expand "$KW_INPUTS/$kw_input" >"$KW_WORK/$kw_input"
		# shellcheck disable=SC2086 # names of units: words by recipe.yaml's schema
		"$1" "$KW_WORK/$kw_input" "$kw_path" "$kw_mode" "$kw_group" $kw_daemons
	done 3<"$KW_INPUTS/files"
}
