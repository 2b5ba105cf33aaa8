"""systemd: whether a unit is active. Source: org.freedesktop.systemd1(5)."""

import asyncio

from mcd_rt.dbus.bus import Bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import SYSTEMD, SYSTEMD_MANAGER, SYSTEMD_PATH, SYSTEMD_UNIT
from mcd_rt.dbus.wire import Message
from mcd_rt.errors import AgentError, Code

_TIMEOUT = 25.0
_ABSENT = (
    "org.freedesktop.systemd1.NoSuchUnit",
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.UnknownMethod",
)


async def wait_until_active(bus: Bus, unit: str, timeout: float) -> None:  # noqa: ASYNC109 - how long to be patient
    """Wait until a unit is active; one that this host does not have is not waited for.

    Raises ``AgentError`` (``finalize-failed``) when it is not active in ``timeout`` seconds.
    """
    hint = f"`systemctl status {unit}` tells why; a reboot now could lose the staged deployment"
    try:
        async with asyncio.timeout(timeout):
            await _wait(bus, unit)
    except TimeoutError as error:
        raise AgentError(Code.FINALIZE_FAILED, f"{unit} is not active after {timeout:g} s", hint) from error
    except RemoteError as error:
        if error.name not in _ABSENT:
            raise AgentError(Code.FINALIZE_FAILED, f"cannot ask systemd for {unit}: {error}", hint) from error
    except PeerClosed as error:
        raise AgentError(Code.BUS_UNAVAILABLE, f"asking systemd for {unit}: {error}", "is dbus running?") from error


async def _wait(bus: Bus, unit: str) -> None:
    changed = asyncio.Event()
    reply = await bus.call(SYSTEMD, SYSTEMD_PATH, f"{SYSTEMD_MANAGER}.GetUnit", "s", [unit], timeout=_TIMEOUT)
    if len(reply) != 1 or not isinstance(reply[0], str):
        raise RemoteError(SYSTEMD, f"it answers GetUnit with {reply!r}")
    path = reply[0]

    def heard(message: Message) -> None:
        if message.member == "PropertiesChanged" and message.path == path:
            changed.set()

    bus.closed.add_done_callback(lambda _end: changed.set())
    await bus.watch(f"type='signal',sender='{SYSTEMD}',path='{path}'", heard)
    await bus.call(SYSTEMD, SYSTEMD_PATH, f"{SYSTEMD_MANAGER}.Subscribe", timeout=_TIMEOUT)
    while await bus.read_property(SYSTEMD, path, f"{SYSTEMD_UNIT}.ActiveState", _TIMEOUT) != "active":
        await changed.wait()
        changed.clear()
