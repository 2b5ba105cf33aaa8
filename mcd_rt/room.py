"""Is there room for a step? Read, judged, and told; nothing is changed here."""

from mcd_rt.errors import AgentError, Failure
from mcd_rt.model.plan import Change, Reboot
from mcd_rt.model.room import BootRoom
from mcd_rt.observation import Context
from mcd_rt.observed.earlyprune import prunes_early
from mcd_rt.observed.room import read_kernel_files, read_room
from mcd_rt.plan.preflight import Fit, boot_needed, estimate_boot, fit_boot, judge_room, refuse_boot
from mcd_rt.plan.situation import Situation

_AFTER_PRUNE = "; /boot has room once ostree has dropped the rollback"


async def check_room_to_stage(context: Context, situation: Situation, change: Change) -> str:
    """Before anything is written: roughly. Returns what has to be said about it, if anything.

    Raises ``AgentError``: ``memory-low``, ``disk-space``, ``boot-space``.
    """
    room = read_room(context.paths)
    failure = judge_room(change, situation.deployments, room)
    if failure is not None:
        raise AgentError(failure.code, failure.message, failure.hint)
    if room.boot is None:
        return ""
    needed = estimate_boot(change, situation.deployments, room.boot)
    found = await _judge_boot(context, situation, room.boot, needed)
    if isinstance(found, Failure):
        raise AgentError(found.code, found.message, f"{found.hint}; nothing was begun")
    return found


async def judge_room_to_boot(context: Context, situation: Situation, plan: Reboot) -> str | Failure:
    """What is staged, exactly: why it does not fit into /boot, or what has to be said about it, if anything."""
    boot = read_room(context.paths).boot
    if boot is None:
        return ""
    needed = boot_needed(read_kernel_files(context.paths, plan.deployment_id))
    return await _judge_boot(context, situation, boot, needed)


async def _judge_boot(context: Context, situation: Situation, boot: BootRoom, needed: int) -> str | Failure:
    fit = fit_boot(boot, needed, situation.deployments)
    if fit is Fit.NOW:
        return ""
    if fit is Fit.AFTER_PRUNE and await prunes_early(context.effects, context.paths):
        return _AFTER_PRUNE
    return refuse_boot(boot, needed, situation.deployments)
