haproxy -c -q -f /etc/haproxy/haproxy.cfg >/dev/null 2>&1 || kw_fail 1 "haproxy refuses the configuration that it has"
kw_port_check "$KW_PARAM_PORT" haproxy 1
