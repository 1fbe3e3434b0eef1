# Downloads. What was fetched is used only after its digest was compared.

# kw_sha FILE: its SHA-256 in hexadecimal.
kw_sha() (
	sum=$(sha256sum <"$1") || kw_fail 14 "sha256sum is missing on this machine"
	printf '%s\n' "${sum%% *}"
)

# kw_get URL FILE: fetches with whatever the machine has; 12 when that fails.
kw_get() (
	why=$KW_WORK/fetch.err
	rm -f "$2" "$why"
	seconds=${KW_FETCH_SECONDS:-600}
	code=0
	case $1 in
	file://*) cp "${1#file://}" "$2" 2>"$why" || code=$? ;;
	*)
		if command -v curl >/dev/null 2>&1; then
			curl -fsSL --connect-timeout 10 --max-time "$seconds" -o "$2" -- "$1" 2>"$why" || code=$?
		elif command -v wget >/dev/null 2>&1; then
			wget -q -t 2 -T 10 -O "$2" -- "$1" 2>"$why" || code=$?
			case $code in
			0) ;;
			4) echo "wget: network failure" >"$why" ;;
			8) echo "wget: the server answered with an error" >"$why" ;;
			*) [ -s "$why" ] || echo "wget ended with $code" >"$why" ;;
			esac
		elif command -v python3 >/dev/null 2>&1; then
			python3 -c 'import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=10) as source, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(source, out)' "$1" "$2" 2>"$why" || code=$?
		elif command -v bash >/dev/null 2>&1; then
			kw_get_bash "$1" "$2" 2>"$why" || code=$?
		else
			kw_fail 14 "nothing to download with: none of curl, wget, python3 and bash is installed"
		fi
		;;
	esac
	if [ "$code" != 0 ]; then
		rm -f "$2"
		kw_fail 12 "downloading $1: $(tail -n 1 "$why")"
	fi
)

# kw_get_bash URL FILE: plain HTTP/1.0 over bash's /dev/tcp, where there is nothing better.
kw_get_bash() {
	bash -c '
		case $1 in http://*) ;; *) echo "bash alone fetches only http://" >&2; exit 1 ;; esac
		rest=${1#http://}; host=${rest%%/*}; path=${rest#"$host"}; port=80
		case $host in *:*) port=${host##*:}; host=${host%:*} ;; esac
		exec 3<>"/dev/tcp/$host/$port" || exit 1
		printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "${path:-/}" "$host" >&3
		read -r -t 10 status <&3 || { echo "no answer" >&2; exit 1; }
		case $status in *" 200 "*) ;; *) echo "answer: ${status%$(printf "\r")}" >&2; exit 1 ;; esac
		while read -r -t 10 line <&3 && [ "${line%$(printf "\r")}" ]; do :; done
		cat <&3 >"$2"
	' kw_get_bash "$1" "$2"
}

# kw_fetch URL SHA256 DEST: DEST (a path as it is) appears whole and right, or not at all.
kw_fetch() (
	kw_get "$1" "$3.part" || exit $?
	found=$(kw_sha "$3.part") || exit $?
	if [ "$found" != "$2" ]; then
		rm -f "$3.part"
		kw_fail 13 "checksum of $1: found sha256 $found, want $2"
	fi
	mv -f "$3.part" "$3"
)

# kw_listed_sha LIST NAME: the digest of NAME in a file of lines "digest  name".
kw_listed_sha() (
	while read -r sum name; do
		name=${name#\*}
		if [ "${name##*/}" = "$2" ] && [ "${#sum}" = 64 ]; then
			printf '%s\n' "$sum"
			exit 0
		fi
	done <"$1"
	exit 1
)

# kw_artifact_value NAME FIELD: a field of an artifact of recipe.yaml, empty when there is none.
kw_artifact_value() (
	variable=KW_ARTIFACT_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')_$2
	eval "printf '%s' \"\${$variable:-}\""
)

# kw_artifact NAME DEST: downloads an artifact of recipe.yaml through its mirror, checked against its digest.
kw_artifact() (
	sha=$(kw_artifact_value "$1" SHA256)
	if [ -z "$sha" ]; then
		sums=$(kw_artifact_value "$1" CHECKSUMS)
		file=$(kw_artifact_value "$1" FILE)
		kw_get "$sums" "$KW_WORK/$1.sums" || exit $?
		sha=$(kw_listed_sha "$KW_WORK/$1.sums" "$file") || kw_fail 13 "checksum of $file: found no line for it in $sums"
	fi
	kw_fetch "$(kw_artifact_value "$1" URL)" "$sha" "$2"
)

# kw_unpack ARCHIVE DIR: a tar archive, without the directory that everything in it is in. Both paths as they are.
kw_unpack() {
	mkdir -p "$2"
	tar -x -o -f "$1" -C "$2" --strip-components=1 2>"$KW_WORK/tar.err" || kw_fail 1 "unpacking ${1##*/}: $(tail -n 1 "$KW_WORK/tar.err")"
}

# kw_artifact_done NAME PATH…: remembers which files on the machine came from the artifact, and their digests.
kw_artifact_done() {
	kw_name=$1
	shift
	kw_record file "$KW_HOME/artifact-$kw_name"
	{
		kw_artifact_value "$kw_name" ORIGIN
		kw_artifact_value "$kw_name" SHA256
		echo
		for kw_path; do printf '%s %s\n' "$(kw_sha "$KEELWAY_ROOT$kw_path")" "$kw_path"; done
	} >"$KW_WORK/stamp"
	mv -f "$KW_WORK/stamp" "$KEELWAY_ROOT$KW_HOME/artifact-$kw_name"
}

# kw_artifact_current NAME: whether what kw_artifact_done remembered is of this artifact and still there, byte for byte.
kw_artifact_current() (
	stamp=$KEELWAY_ROOT$KW_HOME/artifact-$1
	[ -f "$stamp" ] || exit 1
	wanted=$(kw_artifact_value "$1" ORIGIN)$(kw_artifact_value "$1" SHA256)
	{
		read -r origin && [ "$origin" = "$wanted" ] || exit 1
		while read -r sum path; do
			[ -f "$KEELWAY_ROOT$path" ] && [ "$(kw_sha "$KEELWAY_ROOT$path")" = "$sum" ] || exit 1
		done
	} <"$stamp"
)
