# Removing, from the machine's own record alone.

# kw_remove_all: stops and deletes all that this service made here, directories that are empty then too, and puts back what was there
# before. May be repeated.
kw_remove_all() {
	[ -f "$KW_RECORD" ] || return 0
	for kw_each in $(kw_recorded_values daemon); do kw_daemon_remove "$kw_each"; done
	kw_recorded_values file | while read -r kw_path; do
		kw_recorded saved "$kw_path" || rm -f "$KEELWAY_ROOT$kw_path"
		rm -f "$KEELWAY_ROOT$kw_path.kw-new"
	done
	kw_recorded_values dir | sort -r >"$KW_WORK/dirs" # children before their parents
	kw_remove_dirs # what packages find empty they remove themselves
	kw_pkg_remove
	kw_recorded_values saved | while read -r kw_path; do kw_unsave "$kw_path"; done
	kw_recorded_values data | while read -r kw_path; do
		case $kw_path in
		*/../* | */.. | /) kw_fail 1 "the record names $kw_path as data: not deleted" ;;
		/?*/?*) rm -rf "$KEELWAY_ROOT$kw_path" ;;
		*) kw_fail 1 "the record names $kw_path as data: not deleted" ;;
		esac
	done
	for kw_each in $(kw_recorded_values user); do
		if id "$kw_each" >/dev/null 2>&1; then userdel "$kw_each"; fi
	done
	if [ -n "$(kw_recorded_values unit)" ]; then kw_units_restore; fi
	kw_remove_dirs
	rm -f "$KW_RECORD" "$KW_RECORD.new"
	kw_remove_dirs # those that held the record
	kw_note "removed"
}

# kw_unsave PATH: puts back what was there before, once.
kw_unsave() {
	kw_old=$KEELWAY_ROOT$KW_HOME/saved$1
	if [ -e "$kw_old" ] || [ -L "$kw_old" ]; then
		mkdir -p "$KEELWAY_ROOT${1%/*}"
		mv -f "$kw_old" "$KEELWAY_ROOT$1"
	fi
}

kw_remove_dirs() {
	while read -r kw_path; do
		rmdir "$KEELWAY_ROOT$kw_path" 2>/dev/null || :
	done <"$KW_WORK/dirs"
}
