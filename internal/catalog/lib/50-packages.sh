# Packages of a real machine. Below a root there are none: a Process server changes nothing around it.

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

kw_pkg_present() { "kw_$(kw_pkg_manager)_present" "$1"; }

# kw_pkg_service NAME…: installs the packages of the service. The first one's version is the service's: see kw_pkg_series.
kw_pkg_service() {
	kw_versioned=$1
	kw_pkg_install "$@"
	kw_pkg_series "$1"
}

# kw_pkg_check NAME…: ends with 10 unless they are installed, whole and of the service's version.
kw_pkg_check() {
	for kw_pkg; do
		kw_pkg_present "$kw_pkg" || kw_fail 10 "package $kw_pkg is not installed"
	done
	kw_offers=$(kw_pkg_version "$1")
	kw_same_series "$kw_offers" || kw_fail 10 "package $1 is $kw_offers, and not $KW_VERSION"
}

# kw_pkg_series NAME: the distribution decides about the last number of a version, and its security updates are no drift. Another
# major or minor version is another service: nothing is installed then.
kw_pkg_series() {
	kw_offers=$(kw_pkg_version "$1")
	kw_same_series "$kw_offers" || kw_fail 14 "this machine's distribution has $1 ${kw_offers:-not at all}, and version $KW_VERSION was asked for: set spec.version to what it has, or choose other servers"
}

kw_same_series() (
	series=${1#"${1%%[0-9]*}"}
	[ "$(printf '%s.0' "$series" | cut -d. -f1,2)" = "$(printf '%s' "$KW_VERSION" | cut -d. -f1,2)" ]
)

# kw_pkg_version NAME: upstream's version of what is installed, otherwise of what would be: 2.6.12 of 1:2.6.12-1+deb12u4.
kw_pkg_version() (
	version=$("kw_$(kw_pkg_manager)_version" "$1")
	version=${version#*:}
	printf '%s\n' "${version%%[-+~]*}"
)

# kw_pkg_install NAME…: installs what is missing, and records all that comes with it before it comes. What was there before stays
# somebody else's. A service that shares a package with another one of ours records it too: the last one takes it along.
kw_pkg_install() {
	kw_need_machine "installing packages"
	kw_files_save
	kw_wanted=
	for kw_pkg; do
		if ! kw_pkg_present "$kw_pkg"; then
			kw_wanted="$kw_wanted $kw_pkg"
		elif kw_recorded_elsewhere package "$kw_pkg" || kw_recorded_elsewhere dependency "$kw_pkg"; then
			kw_record package "$kw_pkg"
		fi
	done
	[ -n "$kw_wanted" ] || return 0
	# shellcheck disable=SC2086 # names of packages, from the recipe's own script
	"kw_$(kw_pkg_manager)_install" $kw_wanted
}

# kw_pkg_remove: all that this service installed, and nothing else. What others need meanwhile is theirs from then on.
kw_pkg_remove() {
	if [ -z "$(kw_recorded_values package)$(kw_recorded_values dependency)$(kw_recorded_values replaced)" ]; then return 0; fi
	"kw_$(kw_pkg_manager)_remove"
	for kw_kind in package dependency replaced; do
		for kw_pkg in $(kw_recorded_values $kw_kind); do kw_unrecord $kw_kind "$kw_pkg"; done
	done
}

# kw_pkg_ours: the packages of this service that no other service of ours asked for.
kw_pkg_ours() {
	for kw_pkg in $(kw_recorded_values package); do
		if kw_recorded_elsewhere package "$kw_pkg"; then kw_pass_on "$kw_pkg"; else printf '%s\n' "$kw_pkg"; fi
	done
}

# kw_pass_on NAME: the package stays because something else needs it. The other services take it along when it is needed no more.
kw_pass_on() {
	for kw_record_of in "$KEELWAY_ROOT$KW_SERVICES"/*/record; do
		if [ "$kw_record_of" = "$KW_RECORD" ] || [ ! -f "$kw_record_of" ] || grep -qxF -e "dependency$KW_TAB$1" "$kw_record_of"; then continue; fi
		printf 'dependency\t%s\n' "$1" >>"$kw_record_of"
	done
}

# --- dnf ---

kw_dnf_present() { rpm -q --quiet "$1"; }
kw_dnf_version() { rpm -q --queryformat '%{VERSION}' "$1" 2>/dev/null || dnf -q repoquery --queryformat '%{version}' "$1"; }
kw_dnf_install() {
	for kw_pkg; do kw_record package "$kw_pkg"; done
	dnf -q -y --setopt=exit_on_lock=False install -- "$@" </dev/null >&2 || kw_fail 12 "installing packages: $*: dnf failed (its words are above)"
}
kw_dnf_remove() {
	for kw_pkg in $(kw_pkg_ours); do
		dnf -q -y remove -- "$kw_pkg" </dev/null >&2 || kw_fail 1 "removing package $kw_pkg failed"
	done
}
