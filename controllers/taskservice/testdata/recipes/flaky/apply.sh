echo "$KW_SERVICE $KW_RECIPE" >>"$KEELWAY_ROOT.applied"
if [ "$(wc -l <"$KEELWAY_ROOT.applied")" -lt 2 ]; then kw_fail 12 "the mirror does not answer"; fi
: >"$KW_WORK/flaky"; kw_file "$KW_WORK/flaky" /etc/flaky 0644
