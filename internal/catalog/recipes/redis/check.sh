kw_pkg_check redis-server
kw_files_check
kw_daemon_check redis-server
kw_port_check "$KW_PARAM_PORT" redis-server
