echo "$KW_SERVICE $KW_RECIPE" >>"$KEELWAY_ROOT.applied"
kw_files_apply
if [ "$KW_PARAM_SHOUT" = true ]; then kw_fail 1 "login with $(cat "$KW_INPUTS/secret-password") was refused"; fi
