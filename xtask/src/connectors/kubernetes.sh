#!/bin/sh
# A Kubernetes of one's own, two pretended nodes beside the real one, until standard input ends: `kubernetes.sh FOLDER`. Prints one line when it answers:
# the path of the administrator's kubeconfig. Takes the folder away in the end, as the other counterparts do; the cluster has one of its own.
set -u
# A terminal's Ctrl-C reaches the whole group; the end of the input is what counts.
trap '' INT TERM HUP
cargo xtask cluster hold --name "connectors-$$" --kwok 2
status=$?
rm -rf "$1"
exit $status
