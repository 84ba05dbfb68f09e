#!/bin/sh
# A Kubernetes control plane of one's own, until standard input ends: `kubernetes.sh FOLDER`.
#
# All of it is in the folder: the kubeconfigs of its users in `apm-cluster/apm/kubeconfig`, and `restart`, a script that ends the API server as kill -9
# does and starts it again. Prints one line when it answers. Whoever started it holds its standard input; when that closes, however its holder ended,
# the cluster and the folder are taken away. `APM_XTASK` is the program that knows how.
set -u
folder=$1
# A terminal's Ctrl-C reaches the whole group; the end of the input is what counts.
trap : INT TERM HUP
XDG_STATE_HOME=$folder
export XDG_STATE_HOME
cat >"$folder/restart" <<END
#!/bin/sh
XDG_STATE_HOME='$folder' exec '$APM_XTASK' cluster restart --name apm kube-apiserver
END
# Words, not one word.
# shellcheck disable=SC2086
"$APM_XTASK" cluster hold --name apm ${APM_CLUSTER_WORDS:---control-plane-only}
status=$?
rm -rf "$folder"
exit $status
