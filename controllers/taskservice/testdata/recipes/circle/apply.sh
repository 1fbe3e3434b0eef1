echo "$KW_SERVICE $KW_RECIPE" >>"$KEELWAY_ROOT.applied"
kw_files_apply
