#!/bin/sh
# Puts the agent of the image $IMAGE onto this node, if another one or none is there, and starts it. What is there starts
# first, whatever becomes of the registry: it may have a reboot to verify. Run by mcd-rt-install.service at each boot, and
# by mcd-rt-install.timer again after a failure.
set -eu

# Says of which image it is, and is there exactly while what is there is whole: it lies in the directory that an
# installation replaces first.
label=/usr/local/lib/mcd-rt/image
# A deployment that is booted again may not have the units, which lie in its own /etc.
unit=/etc/systemd/system/mcd-rt.service

installed=
if [ -e $unit ] && [ -e $label ]; then
    installed=$(cat $label)
    systemctl --no-block start mcd-rt.service
fi
if [ "$installed" = "$IMAGE" ]; then
    exit 0
fi

podman image exists "$IMAGE" || podman pull --quiet --authfile=/var/lib/kubelet/config.json "$IMAGE"

# It loads parts of itself late, so it must not run while its files are replaced. It leaves a transaction to rpm-ostreed.
if [ -n "$installed" ]; then
    trap '[ ! -e $label ] || systemctl --no-block start mcd-rt.service' EXIT
    systemctl stop mcd-rt.service mcd-rt-fetch.socket mcd-rt-inspect.socket mcd-rt-hooks.socket
fi
podman run --rm --pull=never --network=none --security-opt=label=disable \
    --volume=/usr/local:/host/usr/local --volume=/etc:/host/etc --entrypoint=/usr/libexec/mcd-rt/python \
    "$IMAGE" /usr/share/mcd-rt/install_on_host.py /host
if command -v restorecon >/dev/null; then
    restorecon -RF /usr/local /etc/systemd/system /etc/polkit-1/rules.d || :
fi
systemd-sysusers mcd-rt.conf || :
systemd-tmpfiles --create mcd-rt.conf || :
systemctl daemon-reload
systemctl reset-failed mcd-rt.service 2>/dev/null || :
echo "$IMAGE" > $label
systemctl --no-block start mcd-rt.service
