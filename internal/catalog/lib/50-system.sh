# Packages and users of a real machine. Below a root there is neither: a Process server changes nothing around it.

kw_need_machine() {
	[ -z "$KEELWAY_ROOT" ] || kw_fail 14 "$1 cannot be done on a Process server"
	kw_is_root || kw_fail 14 "$1 needs root"
}

kw_pkg_manager() {
	if command -v apt-get >/dev/null 2>&1; then
		echo apt
	elif command -v dnf >/dev/null 2>&1; then
		echo dnf
	else
		kw_fail 14 "neither apt-get nor dnf is installed"
	fi
}

kw_pkg_present() {
	case $(kw_pkg_manager) in
	apt) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || :)" = installed ] ;;
	dnf) rpm -q --quiet "$1" ;;
	esac
}

# kw_pkg_install NAME…: installs what is missing and records it. Waits for the package manager's lock for five minutes.
kw_pkg_install() {
	kw_need_machine "installing packages"
	kw_manager=$(kw_pkg_manager)
	kw_wanted=
	for kw_pkg; do
		if kw_pkg_present "$kw_pkg"; then continue; fi
		kw_record package "$kw_pkg"
		kw_wanted="$kw_wanted $kw_pkg"
	done
	[ -n "$kw_wanted" ] || return 0
	# shellcheck disable=SC2086 # names of packages, from the recipe's own script
	"kw_${kw_manager}_install" $kw_wanted || kw_fail 12 "installing packages:$kw_wanted: $kw_manager failed (its words are above)"
}

kw_apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2; }
kw_apt_install() { kw_apt update && kw_apt install --no-install-recommends -- "$@"; }
kw_dnf_install() { dnf -q -y --setopt=exit_on_lock=False install -- "$@" </dev/null >&2; }

# kw_pkg_remove NAME…: only what this service installed.
kw_pkg_remove() {
	for kw_pkg; do
		if ! kw_recorded package "$kw_pkg"; then continue; fi
		case $(kw_pkg_manager) in
		apt) kw_apt purge -- "$kw_pkg" ;;
		dnf) dnf -q -y remove -- "$kw_pkg" </dev/null >&2 ;;
		esac || kw_fail 1 "removing package $kw_pkg failed"
		kw_unrecord package "$kw_pkg"
	done
}

# kw_user NAME HOME: a system user without a login. Nothing on a Process server, where everything runs as its one user.
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
