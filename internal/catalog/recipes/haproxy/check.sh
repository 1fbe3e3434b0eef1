kw_pkg_check haproxy
kw_files_check
kw_daemon_check haproxy
kw_port_check "$KW_PARAM_PORT" haproxy
