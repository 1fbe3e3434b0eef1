kw_fail 1 "must never run here"
