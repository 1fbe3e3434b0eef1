kw_claim user redis
kw_daemon_hold redis-server
kw_pkg_service redis-server
kw_port_free "$KW_PARAM_PORT" redis-server
kw_files_apply
kw_daemon_ensure redis-server
