# Files: written only when they differ, and what changed is remembered until the daemon that reads it was restarted.

# kw_same SRC DEST MODE: both paths as they are.
kw_same() {
	[ -f "$2" ] && [ ! -L "$2" ] && [ "$(stat -c %a "$2")" = "${3#0}" ] && [ "$(kw_sha "$1")" = "$(kw_sha "$2")" ]
}

# kw_file SRC DEST MODE [DAEMON…]: SRC as it is, DEST logical. The daemons are restarted by kw_daemon_ensure if this changed DEST.
kw_file() {
	kw_src=$1
	kw_dest=$2
	kw_mode=$3
	shift 3
	if kw_same "$kw_src" "$KEELWAY_ROOT$kw_dest" "$kw_mode"; then return 0; fi
	kw_other=$(grep -lsxF -e "file$KW_TAB$kw_dest" "$KEELWAY_ROOT$KW_SERVICES"/*/record | grep -vxF -e "$KW_RECORD" || :)
	if [ -n "$kw_other" ]; then
		kw_other=${kw_other%/record}
		kw_fail 1 "$kw_dest belongs to service ${kw_other##*/} on this server; two services cannot own one file"
	fi
	kw_dir "${kw_dest%/*}"
	kw_record file "$kw_dest"
	for kw_daemon; do kw_record restart "$kw_daemon"; done
	cp "$kw_src" "$KEELWAY_ROOT$kw_dest.kw-new"
	chmod "$kw_mode" "$KEELWAY_ROOT$kw_dest.kw-new"
	mv -f "$KEELWAY_ROOT$kw_dest.kw-new" "$KEELWAY_ROOT$kw_dest"
	kw_note "wrote $kw_dest"
}

# kw_expand SRC: prints it with the server's root put in.
kw_expand() {
	sed "s|@KEELWAY_ROOT@|$(printf '%s' "$KEELWAY_ROOT" | sed 's/[\\&|]/\\&/g')|g" "$1"
}

# kw_files_apply: writes the files of recipe.yaml. kw_files_check: ends with 10 when one of them differs.
kw_files_apply() { kw_each_file kw_file; }
kw_files_check() { kw_each_file kw_file_check; }

kw_file_check() {
	kw_same "$1" "$KEELWAY_ROOT$2" "$3" || kw_fail 10 "$2 is missing or differs"
}

kw_each_file() {
	while IFS=$KW_TAB read -r kw_input kw_mode kw_path kw_restarts <&3; do
		kw_expand "$KW_INPUTS/$kw_input" >"$KW_WORK/$kw_input"
		# shellcheck disable=SC2086 # names of units: words by recipe.yaml's schema
		"$1" "$KW_WORK/$kw_input" "$kw_path" "$kw_mode" $kw_restarts
	done 3<"$KW_INPUTS/files"
}
