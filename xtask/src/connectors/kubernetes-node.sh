#!/bin/sh
# The same as `kubernetes.sh`, with a real node that runs pods and three pretended ones beside it.
APM_CLUSTER_WORDS="--kwok 3" exec sh "$(dirname "$0")/kubernetes.sh" "$1"
