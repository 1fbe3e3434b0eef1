echo "$KW_SERVICE $KW_RECIPE" >>"$KEELWAY_ROOT.applied"
kw_daemon_ensure sleeper
