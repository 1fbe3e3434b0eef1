# Packages by apt. Nothing is ever asked, a file that somebody changed stays, and an installation that was cut off is finished first.

# kw_apt_run PROGRAM…: runs it when the lock of apt and dpkg is free; 11 when somebody else holds it for long. What it printed is
# kept in memory: the disk may be full.
kw_apt_run() {
	kw_tries=0
	while :; do
		kw_code=0
		kw_said=$(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 "$@" </dev/null 2>&1) || kw_code=$?
		kw_holder=$(printf '%s\n' "$kw_said" | sed -n '/Could not get lock\|Unable to lock\|[lL]ock.* by another process/{s/^E: //;p;}' | head -n 1 | cut -c 1-300)
		if [ "$kw_code" = 0 ] || [ -z "$kw_holder" ]; then break; fi
		kw_tries=$((kw_tries + 1))
		[ "$kw_tries" -lt "${KW_APT_TRIES:-20}" ] || kw_fail 11 "another program holds the lock of the package manager, and is waited for: $kw_holder"
		sleep 1
	done
	printf '%s\n' "$kw_said" | tail -n 40 >&2
	[ "$kw_code" != 0 ] || return 0
	case $kw_said in
	*"No space left"* | *"enough free space"*) kw_fail 15 "no space left on the machine's disk: $(kw_apt_words)" ;;
	esac
	return "$kw_code"
}

# kw_apt_words: the first of apt's complaints in what it said last.
kw_apt_words() {
	printf '%s\n' "$kw_said" | grep -E '^(E|W|Err|dpkg|ERROR)[: ]' | head -n 1 | cut -c 1-300 || :
}

kw_apt() { kw_apt_run apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 "$@"; }

# kw_apt_simulate: what apt would do, without a lock.
kw_apt_simulate() { kw_said=$(apt-get -q -y -s "$@" </dev/null 2>&1); }

kw_apt_present() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || :)" = installed ]; }

kw_apt_version() {
	if kw_apt_present "$1"; then
		dpkg-query -W -f '${Version}' "$1"
	else
		apt-cache policy "$1" | sed -n 's/^ *Candidate: *//p' | grep -v '(none)' || :
	fi
}

# kw_apt_mend: finishes what was cut off: by a power cut, or by a run of ours that was stopped.
kw_apt_mend() {
	if [ -z "$(dpkg --audit 2>&1)" ] && [ -z "$(ls /var/lib/dpkg/updates)" ]; then return 0; fi
	kw_note "an installation of packages was cut off: it is finished first"
	kw_apt_run dpkg --force-confdef --force-confold --configure -a || :
	kw_apt --fix-broken install || :
	# A package that was cut off while it was unpacked has to be unpacked again.
	# shellcheck disable=SC2046 # names of packages
	set -- $(dpkg-query -W -f '${db:Status-Eflag} ${Package}\n' | sed -n 's/^reinstreq //p')
	[ $# = 0 ] || kw_apt install --reinstall -- "$@" || :
	[ -z "$(dpkg --audit 2>&1)" ] || kw_fail 1 "dpkg is in disorder and could not be mended: $(dpkg --audit 2>&1 | tr '\n' ' ' | cut -c 1-300)"
}

kw_apt_install() {
	kw_apt_mend
	kw_apt update || kw_fail 12 "reading the package lists: $(kw_apt_words)"
	[ -z "${kw_versioned:-}" ] || kw_pkg_series "$kw_versioned"
	kw_apt_foresee "$@"
	kw_apt install --no-install-recommends -- "$@" || kw_apt_failed "$@"
}

# kw_apt_failed NAME…: dpkg's failures are this machine's, all others are downloads.
kw_apt_failed() {
	case $kw_said in
	*"Sub-process /usr/bin/dpkg"*) kw_fail 1 "installing packages: $*: $(kw_apt_words)" ;;
	*) kw_fail 12 "installing packages: $*: $(kw_apt_words)" ;;
	esac
}

# kw_apt_foresee NAME…: records what will come with them, and refuses what would take somebody else's packages away.
kw_apt_foresee() {
	kw_apt_simulate install --no-install-recommends -- "$@" || kw_fail 12 "installing packages: $*: $(kw_apt_words)"
	kw_foreseen=$kw_said
	for kw_pkg in $(printf '%s\n' "$kw_foreseen" | sed -n 's/^Remv \([^ :]*\).*/\1/p'); do
		case " ${kw_replaces:-} " in
		*" $kw_pkg "*) kw_record replaced "$kw_pkg" ;;
		*) kw_fail 1 "installing $* would remove package $kw_pkg, which somebody else installed: remove it, or choose other servers" ;;
		esac
	done
	for kw_pkg in $(printf '%s\n' "$kw_foreseen" | sed -n 's/^Inst \([^ :]*\) (.*/\1/p'); do # with "[version]": it was there before
		case " $* " in
		*" $kw_pkg "*) kw_record package "$kw_pkg" ;;
		*) kw_record dependency "$kw_pkg" ;;
		esac
	done
}

kw_apt_remove() {
	kw_apt_mend
	# shellcheck disable=SC2046 # names of packages
	kw_apt_purge $(kw_pkg_ours)
	kw_apt_simulate autoremove || kw_fail 1 "looking for packages that nothing needs: $(kw_apt_words)"
	kw_orphans=$(printf '%s\n' "$kw_said" | sed -n 's/^Remv \([^ :]*\).*/\1/p')
	kw_going=
	for kw_pkg in $(kw_recorded_values dependency); do
		if ! printf '%s\n' "$kw_orphans" | grep -qxF -e "$kw_pkg" || kw_recorded_elsewhere package "$kw_pkg"; then
			kw_pass_on "$kw_pkg"
		else
			kw_going="$kw_going $kw_pkg"
		fi
	done
	# shellcheck disable=SC2086 # names of packages
	kw_apt_purge $kw_going
	# shellcheck disable=SC2046 # names of packages
	set -- $(kw_recorded_values replaced)
	[ $# = 0 ] || kw_apt install --no-install-recommends -- "$@" || kw_apt_failed "$@"
}

# kw_apt_purge NAME…: those that are there, when nothing of somebody else's would go with them.
kw_apt_purge() {
	kw_there=
	for kw_pkg; do
		[ -z "$(dpkg-query -W -f '${db:Status-Status}' "$kw_pkg" 2>/dev/null | grep -v not-installed)" ] || kw_there="$kw_there $kw_pkg"
	done
	[ -n "$kw_there" ] || return 0
	# shellcheck disable=SC2086 # names of packages
	kw_apt_simulate purge -- $kw_there || kw_fail 1 "removing packages:$kw_there: $(kw_apt_words)"
	for kw_pkg in $(printf '%s\n' "$kw_said" | sed -n 's/^\(Remv\|Purg\) \([^ :]*\).*/\2/p'); do
		if ! kw_recorded package "$kw_pkg" && ! kw_recorded dependency "$kw_pkg"; then
			kw_fail 1 "removing$kw_there would remove package $kw_pkg, which somebody else installed: remove that first"
		fi
	done
	# shellcheck disable=SC2086 # names of packages
	kw_apt purge -- $kw_there || kw_fail 1 "removing packages:$kw_there: $(kw_apt_words)"
}
