url=http://$KW_HOST:$KW_PARAM_PORT$KW_PARAM_HEALTH_PATH
KW_FETCH_SECONDS=10
kw_get "$url" "$KW_WORK/answer" || kw_fail 1 "nginx does not answer at $url"
[ "$(head -c 200 "$KW_WORK/answer")" = "$KW_SERVICE $KW_SELF" ] || kw_fail 1 "somebody else answers at $url"
