#!/bin/sh
# Two Kubernetes control planes of one's own, `eu` and `us`, until standard input ends: `kubernetes-two.sh FOLDER`. Their pods are pretended.
#
# The kubeconfigs are in `apm-cluster/NAME/kubeconfig`; `kill NAME` ends an API server as kill -9 does and leaves it dead, `start NAME` starts it again.
# Prints one line when both answer. Whoever started it holds its standard input; when that closes, however its holder ended, the clusters and the folder
# are taken away. `APM_XTASK` is the program that knows how.
set -u
folder=$1
# A terminal's Ctrl-C reaches the whole group; the end of the input is what counts.
trap : INT TERM HUP
XDG_STATE_HOME=$folder
export XDG_STATE_HOME
cat >"$folder/kill" <<END
#!/bin/sh
kill -9 "\$(cut -d' ' -f1 '$folder/apm-cluster/'"\$1"/pids/kube-apiserver)"
END
cat >"$folder/start" <<END
#!/bin/sh
XDG_STATE_HOME='$folder' exec '$APM_XTASK' cluster restart --name "\$1" kube-apiserver
END
status=1
if "$APM_XTASK" cluster up --name us --kwok 2 --control-plane-only </dev/null >/dev/null; then
    "$APM_XTASK" cluster hold --name eu --kwok 2 --control-plane-only
    status=$?
fi
"$APM_XTASK" cluster down --name us </dev/null >/dev/null || status=1
rm -rf "$folder"
exit $status
