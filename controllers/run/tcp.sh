# One connection to $KW_HOST port $KW_PORT, by whatever this machine has. No connection: exit 1, and why.
set -u
if command -v bash >/dev/null 2>&1; then
	bash -c 'exec 3<>"/dev/tcp/$KW_HOST/$KW_PORT"' && exit 0
elif command -v nc >/dev/null 2>&1; then
	nc -z "$KW_HOST" "$KW_PORT" </dev/null && exit 0
else
	echo "this server has neither bash nor nc" >&2
	exit 1
fi
echo "no connection to $KW_HOST port $KW_PORT" >&2
exit 1
