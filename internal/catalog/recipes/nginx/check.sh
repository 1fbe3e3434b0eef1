kw_pkg_check nginx
kw_files_check
kw_daemon_check nginx
kw_port_check "$KW_PARAM_PORT" nginx
