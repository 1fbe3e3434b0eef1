# Users of a real machine. Nothing on a Process server, where everything runs as its one user.

# kw_user NAME HOME: a system user without a login.
kw_user() {
	[ -z "$KEELWAY_ROOT" ] || return 0
	if id "$1" >/dev/null 2>&1; then return 0; fi
	kw_need_machine "making user $1"
	kw_record user "$1"
	useradd --system --user-group --no-create-home --home-dir "$2" --shell /usr/sbin/nologin "$1"
}

# kw_own USER PATH…
kw_own() {
	[ -z "$KEELWAY_ROOT" ] || return 0
	kw_owner=$1
	shift
	for kw_path; do chown -R "$kw_owner:$kw_owner" "$kw_path"; done
}
