"""logind tells whoever is logged in that the node will reboot. Source: org.freedesktop.login1(5).

A shutdown of the type ``dry-reboot`` is all of the announcement and nothing of the reboot: messages on the terminals at
shorter and shorter intervals, no new logins in the last five minutes, the time in ``ScheduledShutdown``. The reboot
itself stays ours. logind knows one scheduled shutdown at a time: that of somebody else is never replaced or cancelled.
"""

from mcd_rt.dbus.bus import Bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import LOGIN, LOGIN_MANAGER, LOGIN_PATH
from mcd_rt.dbus.wire import Value
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

_TIMEOUT = 25.0
_MICROSECONDS = 1_000_000
_KIND = "dry-reboot"
_SHOWN = (_KIND, "reboot")
"""As what logind shows it: systemd 252 does not tell that it is a dry one."""
_FROM_US = "mcd-rt: "


@frozen
class Scheduled:
    """Somebody else's shutdown that logind has a time for: of which kind, and when, in seconds since the epoch."""

    kind: str
    at: float


async def announce_reboot(bus: Bus, effects: Effects, text: str, at: float) -> bool:
    """Have logind warn that the node reboots at ``at`` (seconds since the epoch), with ``text`` as the reason.

    An earlier announcement of ours is replaced; where somebody else has scheduled a shutdown, nothing is announced,
    and the answer is no. Raises ``AgentError`` (``reboot-refused``) where logind does not do it.
    """
    if await scheduled_by_another(bus) is not None:
        return False
    await _ask(bus, effects, "SetWallMessage", "sb", [_FROM_US + text, True])
    await _ask(bus, effects, "ScheduleShutdown", "st", [_KIND, int(at * _MICROSECONDS)])
    return True


async def withdraw_announcement(bus: Bus, effects: Effects, announced: float) -> None:
    """Take back what was announced for that time, if it is still there, which users are told too.

    Once the time has come it is gone by itself, but its message is not. Raises as ``announce_reboot``.
    """
    kind, _, ours = await _scheduled(bus, announced)
    if kind and ours:
        await _ask(bus, effects, "CancelScheduledShutdown", "", [])
    if ours or (not kind and await _is_our_message(bus)):
        await _ask(bus, effects, "SetWallMessage", "sb", ["", False])


async def scheduled_by_another(bus: Bus, announced: float | None = None) -> Scheduled | None:
    """What an administrator, or a program of his, has scheduled. Raises as ``announce_reboot``."""
    kind, at, ours = await _scheduled(bus, announced)
    return Scheduled(kind, at) if kind and not ours else None


async def _scheduled(bus: Bus, announced: float | None) -> tuple[str, float, bool]:
    """Of which kind it is (empty: nothing is scheduled), when, and whether it is an announcement of this program.

    That is known by the time that was ``announced``; where none was, by the message: a killed agent may have left it.
    """
    match await _read(bus, "ScheduledShutdown"):
        case [str() as kind, int() as at]:
            if kind not in _SHOWN:
                ours = False
            elif announced is not None:
                ours = at == int(announced * _MICROSECONDS)
            else:
                ours = await _is_our_message(bus)
            return kind, at / _MICROSECONDS, ours
        case other:
            raise _refused("ScheduledShutdown", f"it answers {other!r}")


async def _is_our_message(bus: Bus) -> bool:
    return str(await _read(bus, "WallMessage")).startswith(_FROM_US)


async def _read(bus: Bus, name: str) -> Value:
    try:
        return await bus.read_property(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.{name}", _TIMEOUT)
    except (PeerClosed, RemoteError, TimeoutError) as error:
        raise _refused(name, str(error) or "no answer") from error


def _refused(name: str, why: str) -> AgentError:
    hint = "`systemctl status systemd-logind`"
    return AgentError(Code.REBOOT_REFUSED, f"logind does not tell what is scheduled ({name}): {why}", hint)


async def _ask(bus: Bus, effects: Effects, method: str, signature: str, body: list[Value]) -> None:
    async def call() -> None:
        try:
            await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.{method}", signature, body, timeout=_TIMEOUT)
        except (PeerClosed, RemoteError, TimeoutError) as error:
            raise AgentError(
                Code.REBOOT_REFUSED,
                f"logind does not warn the users who are logged in ({method}): {str(error) or 'no answer'}",
                "reboot.warning = 0 does without; docs/privileges.md says what logind has to allow",
            ) from error

    await effects.mutate(f"logind {method}", call)
