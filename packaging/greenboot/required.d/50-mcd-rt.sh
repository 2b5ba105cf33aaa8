#!/bin/sh
# A greenboot health check: a boot that was to complete a switch and runs a wrong kernel is not healthy.
#
# Nothing else fails it: no config, a fall-back to another deployment, mcd-rt that is missing, broken or misconfigured.
# Needs no running agent. Installed as /usr/lib/greenboot/check/required.d/50-mcd-rt.sh; see docs/greenboot.md.

said=$(timeout 60 mcd-rt verify --boot --json)
case "$said" in
*'"code": "verification-failed"'*)
    echo "mcd-rt: the wrong kernel runs: $said"
    exit 1
    ;;
*'"verified": true'*)
    echo "mcd-rt: $said"
    ;;
*)
    echo "mcd-rt cannot tell whether the right kernel runs, which is no reason to fall back"
    ;;
esac
exit 0
