# One GET request to $KW_URL, by whatever this machine has. Follows no redirect. Leaves in outputs: the status of the answer, and
# whether the first 64 KiB of its body contain $KW_CONTAINS; prints the beginning of the body. No answer: exit 1, and why.
set -u
head=$KEELWAY_RUN/head body=$KEELWAY_RUN/body said=$KEELWAY_RUN/said
: >"$head"
if command -v curl >/dev/null 2>&1; then
	curl -sS --proto =http,https -D "$head" "$KW_URL" 2>"$said" | head -c 65536 >"$body"
elif command -v wget >/dev/null 2>&1; then
	wget -S -O - "$KW_URL" 2>"$head" | head -c 65536 >"$body"
	cp "$head" "$said"
else
	echo "this server has neither curl nor wget" >&2
	exit 1
fi
status=$(sed -n 's/^ *HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' "$head" | head -n 1)
if [ -z "$status" ]; then
	tail -n 1 "$said" | cut -c 1-500 >&2
	exit 1
fi
contains=no
# ENVIRON takes the text as it is: nothing in it is a pattern or an escape.
if awk 'BEGIN { RS = "\001" } index($0, ENVIRON["KW_CONTAINS"]) { found = 1 } END { exit !found }' "$body"; then contains=yes; fi
printf 'status=%s\ncontains=%s\n' "$status" "$contains" >"$KEELWAY_RUN/outputs"
head -c 2048 "$body"
