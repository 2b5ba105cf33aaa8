#!/bin/sh
# Drains this node before mcd-rt reboots it, and lets workloads come back once its kernel was seen to run. One program
# for both directories; install it as
#
#   /etc/mcd-rt/pre-reboot.d/50-drain     and    /etc/mcd-rt/post-verify.d/50-drain
#
# (copies, mode 0755, root's). It speaks to the API server as the kubelet does, with the kubelet's own credentials: as
# system:node:NAME, which may cordon its own node and evict its own pods, but not look at DaemonSets, as
# `kubectl drain` wants to. manifests/drain-role.yaml allows that, once for the cluster.
#
# A node that somebody else has cordoned stays so. What can be set here:
kubeconfigs=${KUBECONFIGS:-/var/lib/kubelet/kubeconfig /etc/kubernetes/kubelet.conf}
timeout=${DRAIN_TIMEOUT:-800s} # less than hooks.timeout
state=${STATE_DIRECTORY:-/var/lib/mcd-rt-hooks}
options=${DRAIN_OPTIONS:---ignore-daemonsets --delete-emptydir-data}
set -eu

fail() {
    echo "$*" >&2
    exit 1
}

client=$(command -v kubectl || command -v oc) || fail "neither kubectl nor oc is on this host: install one, or take this hook away"
kubeconfig=
for file in $kubeconfigs; do
    [ -r "$file" ] && kubeconfig=$file && break
done
[ -n "$kubeconfig" ] || fail "none of these can be read: $kubeconfigs"

api() {
    "$client" --kubeconfig="$kubeconfig" --request-timeout=30s "$@"
}

# Who the API server takes these credentials for is the node's name, whatever the host calls itself.
user=$(api auth whoami -o 'jsonpath={.status.userInfo.username}' 2>/dev/null) || user=
case $user in
system:node:?*) node=${user#system:node:} ;;
*) node=${NODE_NAME:-$(uname -n)} ;;
esac
mark=$state/cordoned-$node

case ${MCD_RT_OCCASION-} in
pre-reboot)
    if [ ! -e "$mark" ]; then
        cordoned=$(api get node "$node" -o 'jsonpath={.spec.unschedulable}') || fail "the API server does not tell of node $node"
        if [ "$cordoned" = true ]; then
            echo "node $node is cordoned already, and stays so after the reboot"
        else
            : >"$mark" # before it is: whoever is stopped in between uncordons in vain
            api cordon "$node"
        fi
    fi
    # shellcheck disable=SC2086 # options are words
    "$client" --kubeconfig="$kubeconfig" drain "$node" --timeout="$timeout" $options
    ;;
post-verify)
    [ -e "$mark" ] || exit 0
    api uncordon "$node"
    rm -f "$mark"
    ;;
*)
    fail "MCD_RT_OCCASION is neither pre-reboot nor post-verify: this program is started by mcd-rt"
    ;;
esac
