"""``permission-file``: while an administrator's file says so."""

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.reboot.situation import NotPermitted, Permitted, RebootSituation
from mcd_rt.reboot.splay import spread
from mcd_rt.reboot.verdict import Go, Wait

_SHARE = 0.5
"""Of the time permitted: the splay leaves the rest of it for drains and the reboot itself."""


def decide_permission(situation: RebootSituation) -> Go | Wait:
    """Go until the time in the file; without it, or after it, wait for another one."""
    path, permission = situation.settings.permission_file.path, situation.permission
    if isinstance(permission, Permitted) and situation.now < permission.until:
        begin = max(permission.since, situation.staged_at)
        return spread(situation, begin, f"{path} permits it", max(0.0, permission.until - begin) * _SHARE)
    denied = permission if isinstance(permission, NotPermitted) else NotPermitted()
    what = f"waits for {path} to permit it{denied.why and f': {denied.why}'}"
    return Wait(what, None, denied.failure, Awaiting(Gate.PERMISSION, path))
