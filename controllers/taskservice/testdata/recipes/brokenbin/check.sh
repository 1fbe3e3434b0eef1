[ "$KW_PARAM_MEND" = true ] || kw_fail 10 "brokenbin is not installed"
