kw_daemon_alive redis-server || kw_fail 1 "redis does not run: $(kw_daemon_words redis-server)"

# ask COMMAND…: what redis answers. The password is in the environment of this one program, and never an argument.
ask() (
	REDISCLI_AUTH=$(kw_text password "${KW_PARAM_PASSWORD:-}")
	if [ -n "$REDISCLI_AUTH" ]; then export REDISCLI_AUTH; fi
	timeout 10 redis-cli -h "$KW_ADDRESS" -p "$KW_PARAM_PORT" "$@" 2>&1 || :
)

said=$(ask PING)
case $said in
PONG) ;;
*LOADING*) kw_fail 11 "redis reads its data: $said" ;;
*) kw_fail 1 "redis does not answer PING with PONG: $(printf '%s\n' "${said:-nothing came back}" | tail -n 1 | cut -c 1-200)" ;;
esac

if [ "$KW_PARAM_TOPOLOGY" = Replicated ] && [ "$KW_OUTPUT_PRIMARY" != "$KW_HOST:$KW_PARAM_PORT" ]; then
	case $(ask INFO replication) in
	*master_link_status:up*) ;;
	*) kw_fail 11 "redis runs and has not reached its primary $KW_OUTPUT_PRIMARY yet" ;;
	esac
fi
