kw_daemon_alive chrony || kw_fail 1 "chronyd does not run: $(kw_daemon_words chrony)"
said=$(timeout 10 chronyc -n tracking 2>&1) || kw_fail 1 "chronyd does not answer: $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-200)"
case $KW_PARAM_REQUIRE_SYNCHRONISED$said in
true*"Not synchronised"*) kw_fail 11 "chronyd runs and has no time from a source yet" ;;
esac
