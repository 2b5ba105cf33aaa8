"""logind tells whoever is logged in that the node will reboot. Source: org.freedesktop.login1(5).

A shutdown of the type ``dry-reboot`` is all of the announcement and nothing of the reboot: messages on the terminals at
shorter and shorter intervals, no new logins in the last five minutes, the time in ``ScheduledShutdown``. The reboot
itself stays ours.
"""

from mcd_rt.dbus.bus import Bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import LOGIN, LOGIN_MANAGER, LOGIN_PATH
from mcd_rt.dbus.wire import Value
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code

_TIMEOUT = 25.0
_MICROSECONDS = 1_000_000


async def announce_reboot(bus: Bus, effects: Effects, text: str, at: float) -> None:
    """Have logind warn that the node reboots at ``at`` (seconds since the epoch), with ``text`` as the reason.

    An earlier announcement is replaced. Raises ``AgentError`` (``reboot-refused``) where logind does not do it.
    """
    await _ask(bus, effects, "SetWallMessage", "sb", [text, True])
    await _ask(bus, effects, "ScheduleShutdown", "st", ["dry-reboot", int(at * _MICROSECONDS)])


async def withdraw_announcement(bus: Bus, effects: Effects) -> None:
    """Take it back, which users are told too; none is fine. Raises as ``announce_reboot``."""
    await _ask(bus, effects, "CancelScheduledShutdown", "", [])
    await _ask(bus, effects, "SetWallMessage", "sb", ["", False])


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
