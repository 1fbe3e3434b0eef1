bin=/usr/local/bin
etcdctl=$KEELWAY_ROOT$bin/etcdctl
peer_url=http://$KW_HOST:$KW_PARAM_PEER_PORT

# The unpacked program has to prove itself before it takes the place of one that works.
install_etcd() {
	kw_artifact etcd "$KW_WORK/etcd.tar.gz"
	kw_unpack "$KW_WORK/etcd.tar.gz" "$KW_WORK/etcd"
	for program in etcd etcdctl; do
		[ -f "$KW_WORK/etcd/$program" ] || kw_fail 1 "the archive $KW_ARTIFACT_ETCD_FILE holds no $program"
		chmod 0755 "$KW_WORK/etcd/$program"
	done
	said=$("$KW_WORK/etcd/etcd" --version 2>&1) || kw_fail 1 "the downloaded etcd does not run: $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-600)"
	case $said in
	*"etcd Version: $KW_VERSION"*) ;;
	*) kw_fail 1 "the downloaded etcd is not $KW_VERSION: it says $(printf '%s\n' "$said" | head -n 1 | cut -c 1-200)" ;;
	esac
	kw_file "$KW_WORK/etcd/etcd" $bin/etcd 0755 etcd
	kw_file "$KW_WORK/etcd/etcdctl" $bin/etcdctl 0755
	kw_artifact_done etcd $bin/etcd $bin/etcdctl
}

# A member without data must not join a cluster that already knew it: it would vote again on what it has forgotten. Nor can it
# found a second cluster beside one that runs. Nobody answers while the cluster forms for the first time.
guard_first_start() {
	answered=no
	for peer in $(printf '%s' "$KW_OUTPUT_PEERS" | tr , ' '); do
		if [ "${peer#*=}" != "$peer_url" ] && (KW_FETCH_SECONDS=2 && kw_get "${peer#*=}/version" "$KW_WORK/version") 2>/dev/null; then answered=yes; fi
	done
	[ $answered = yes ] || return 0
	members=$("$etcdctl" --endpoints="$KW_OUTPUT_ENDPOINTS" --dial-timeout=1s --command-timeout=3s member list -w simple 2>/dev/null) || return 0
	mine=$(printf '%s\n' "$members" | grep -F -e ", $peer_url, " || :)
	[ -n "$mine" ] || kw_fail 1 "a cluster runs at $KW_OUTPUT_ENDPOINTS without server $KW_SELF; growing it is not done here: add the member by hand, or make the service anew"
	case $mine in
	*"$peer_url, http"*)
		kw_fail 1 "server $KW_SELF was member ${mine%%,*} of the running cluster and its data is gone; remove that member (etcdctl member remove ${mine%%,*}) and make the service anew"
		;;
	esac
}

kw_artifact_current etcd || install_etcd

holds_data=no
for dir in $(kw_recorded_values data); do
	if [ -d "$KEELWAY_ROOT$dir/member" ]; then holds_data=yes; fi
done
[ $holds_data = yes ] || kw_unfix
kw_fixed dataDir "$KW_PARAM_DATA_DIR"
kw_fixed peerURL "$peer_url"
token=${KW_PARAM_CLUSTER_TOKEN:-$KW_SERVICE}
if [ -f "$KW_INPUTS/secret-clusterToken" ]; then token=sha256:$(kw_sha "$KW_INPUTS/secret-clusterToken"); fi # the record is no place for it
kw_fixed clusterToken "$token"
kw_user etcd "$KW_PARAM_DATA_DIR"
kw_data "$KW_PARAM_DATA_DIR" 0700
kw_own etcd "$KW_PARAM_DATA_DIR"
kw_files_apply
[ $holds_data = yes ] || guard_first_start
kw_daemon_ensure etcd
