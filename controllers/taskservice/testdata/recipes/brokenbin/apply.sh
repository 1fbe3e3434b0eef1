echo "$KW_SERVICE $KW_RECIPE" >>"$KEELWAY_ROOT.applied"
kw_note "unpacking"
kw_fail 1 "the downloaded program does not run: Exec format error"
