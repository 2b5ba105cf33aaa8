"""What a strategy has to know is read and asked, and its verdict is had."""

from dataclasses import replace

from mcd_rt.act.finalize import check_reboot_allowed, is_going_down
from mcd_rt.act.stage import RpmOstreeAccess
from mcd_rt.dbus.announce import Scheduled, scheduled_by_another
from mcd_rt.dbus.bus import bus_address, open_bus
from mcd_rt.fleet import take_lock
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.plan import Reboot
from mcd_rt.model.record import Record
from mcd_rt.model.window import Opening, parse_window
from mcd_rt.observation import Context
from mcd_rt.observed.kubelet import find_kubelet
from mcd_rt.permissionfile import read_permission
from mcd_rt.reboot.decide import decide
from mcd_rt.reboot.situation import LockGranted, LockUnknown, RebootSituation
from mcd_rt.reboot.verdict import Go, TakeLock, Verdict, Wait
from mcd_rt.steps import access_of, show_blocked

_SOON = 60.0
"""Seconds: one that is late is not asked about all the time."""


def is_still_allowed(context: Context, record: Record, plan: Reboot, since: float) -> bool:
    """Whether what was allowed at ``since`` was not taken back: what was begun in time may end after it."""
    lock = LockGranted() if record.lock is not None and record.lock.granted else LockUnknown()
    return isinstance(decide(replace(_situation(context, record, plan, since), lock=lock)), Go)


async def judge_reboot(context: Context, record: Record, plan: Reboot) -> tuple[Verdict, Record]:
    """May the node reboot into what is staged? The verdict, never ``TakeLock``, and the record as it is then.

    A lock is asked for only where nobody else blocks the reboot, so that a slot is not held for nothing. Raises
    ``AgentError``: ``write-failed``, and as ``check_reboot_allowed``.
    """
    asked = _situation(context, record, plan, context.effects.now())
    verdict = decide(asked)
    if isinstance(verdict, Go | TakeLock):
        verdict = await _wait_for_scheduled(context, asked.now) or verdict
    if not isinstance(verdict, TakeLock):
        return verdict, record
    patience = context.settings.reboot.inhibitor_wait
    await check_reboot_allowed(access_of(context), patience, show_blocked(context))
    state, record = await take_lock(context, record)
    return decide(replace(asked, lock=state, now=context.effects.now(), asked=False)), record


async def find_scheduled(access: RpmOstreeAccess, announced: float | None = None) -> Scheduled | None:
    """A shutdown that somebody else has scheduled, which a reboot would make forgotten.

    ``announced`` is the time for which we have announced ours. Raises ``AgentError`` (``reboot-refused``).
    """
    async with open_bus(bus_address(), access.settings.connect_timeout) as bus:
        return await scheduled_by_another(bus, announced)


async def _wait_for_scheduled(context: Context, now: float) -> Wait | None:
    """Whoever has scheduled a shutdown expects it: a reboot before would make logind forget it."""
    if await is_going_down(access_of(context), must_know=True):
        return None  # it has come, or it is ours
    scheduled = await find_scheduled(access_of(context))
    if scheduled is None:
        return None
    what = f"waits for the {scheduled.kind} that somebody has scheduled (`shutdown -c` cancels it)"
    gate = Awaiting(Gate.INHIBITOR, f"the scheduled {scheduled.kind}")
    return Wait(what, max(scheduled.at, now + _SOON), awaiting=gate)


def _situation(context: Context, record: Record, plan: Reboot, now: float) -> RebootSituation:
    settings, attempt = context.settings.reboot, record.attempt
    in_files = settings.strategy == "permission-file"
    return RebootSituation(
        settings,
        now,
        (attempt.staged_at or attempt.started) if attempt is not None else now,
        attempt.luck if attempt is not None else 0.0,
        plan.locked,
        record.hold,
        context.reboot_now,
        find_kubelet(context.paths) if settings.strategy == "auto" else "",
        _openings(context, now) if settings.strategy == "window" else (),
        context.lock_seen.state,
        read_permission(context.paths, settings.permission_file.path, now) if in_files else None,
    )


def _openings(context: Context, now: float) -> tuple[Opening, ...]:
    from mcd_rt.calendar import find_zone, openings  # noqa: PLC0415 - an agent without windows needs no calendar

    settings = context.settings.reboot.window
    return openings(map(parse_window, settings.windows), find_zone(settings.time_zone), now)
