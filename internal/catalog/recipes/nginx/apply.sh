kw_dir /var/www/html
kw_claim file /var/www/html/index.nginx-debian.html
kw_dir "$KW_PARAM_DOCUMENT_ROOT"
kw_daemon_hold nginx
kw_pkg_service nginx
kw_port_free "$KW_PARAM_PORT" nginx

# A configuration that nginx refuses never takes the place of one that works.
said=$(nginx -t -q -c "$(kw_candidate /etc/nginx/nginx.conf)" 2>&1) ||
	kw_fail 1 "nginx refuses its configuration: $(printf '%s\n' "$said" | grep emerg | head -n 1 | cut -c 1-300)"
kw_files_apply
kw_daemon_ensure nginx
