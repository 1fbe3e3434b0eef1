# What this machine is, as lines of "name value". It changes nothing and needs a POSIX sh on Linux, no more.
root=${KEELWAY_ROOT:-}
have() { command -v "$1" >/dev/null 2>&1; }
first() { for tool; do have "$tool" && { echo "$tool"; return; }; done; echo none; }

ID=unknown VERSION_ID=
if [ -r /etc/os-release ]; then . /etc/os-release; elif [ -r /usr/lib/os-release ]; then . /usr/lib/os-release; fi
echo "hostname $(uname -n)"
echo "os $ID"
echo "os-version $VERSION_ID"
echo "arch $(uname -m)"
echo "cpus $(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
while read -r name value _; do
	[ "$name" = MemTotal: ] && echo "memory-kib $value"
done </proc/meminfo

# A Process server has no machine of its own: the host's addresses, init and packages are not its to use.
if [ -n "$root" ]; then
	[ -n "${KEELWAY_ADDRESS:-}" ] && echo "address $KEELWAY_ADDRESS"
	echo "init none"
	echo "packages none"
	echo "root false"
else
	if have ip; then
		ip -o addr show scope global | while read -r _ _ family address _; do
			case $family in inet | inet6) echo "address ${address%%/*}" ;; esac
		done
	else
		for address in $(hostname -I 2>/dev/null); do echo "address $address"; done
	fi
	if [ -d /run/systemd/system ]; then echo "init systemd"; elif have rc-service; then echo "init openrc"; else echo "init none"; fi
	case $(first apt-get dnf yum zypper pacman apk) in
	apt-get) echo "packages apt" ;;
	*) echo "packages $(first dnf yum zypper pacman apk)" ;;
	esac
	if [ "$(id -u)" = 0 ]; then echo "root true"; else echo "root false"; fi
fi
echo "end"
