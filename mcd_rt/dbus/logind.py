"""logind: who objects to a reboot, and the reboot itself. Source: org.freedesktop.login1(5)."""

import asyncio
import contextlib
from collections.abc import Callable

from mcd_rt.dbus.bus import Bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import LOGIN, LOGIN_MANAGER, LOGIN_PATH
from mcd_rt.dbus.wire import Message
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

_TIMEOUT = 25.0
_LONGEST = 100


@frozen
class Inhibitor:
    """Somebody who asked that the node does not go down now."""

    who: str
    why: str


async def blocking_inhibitors(bus: Bus) -> tuple[Inhibitor, ...]:
    """The shutdown locks in ``block`` mode; root's own calls would ignore them, so we look first.

    Raises ``AgentError`` (``reboot-refused``) where logind does not answer as documented: unknown is not
    "nobody".
    """
    question = "cannot ask logind who objects to a reboot"
    try:
        answer = await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.ListInhibitors", timeout=_TIMEOUT)
    except (PeerClosed, RemoteError, TimeoutError) as error:
        raise _refused(question, error) from error
    if len(answer) != 1 or not isinstance(answer[0], list):
        raise _refused(question, ValueError(f"it answers {answer!r}"))
    found = []
    for lock in answer[0]:
        match lock:
            case [str() as what, str() as who, str() as why, str() as mode, *_]:
                if "shutdown" in what.split(":") and mode == "block":
                    found.append(Inhibitor(_shown(who), _shown(why)))
            case _:
                raise _refused(question, ValueError(f"it lists {lock!r}"))
    return tuple(found)


async def wait_until_unblocked(
    bus: Bus,
    timeout: float,  # noqa: ASYNC109 - how long to be patient
    on_blocked: Callable[[tuple[Inhibitor, ...]], None],
) -> tuple[Inhibitor, ...]:
    """Who still blocks a shutdown after ``timeout`` seconds; nobody as soon as nobody does.

    ``on_blocked`` is told who is waited for. Raises as ``blocking_inhibitors``.
    """
    changed = asyncio.Event()

    def heard(message: Message) -> None:
        if message.member == "PropertiesChanged" and message.path == LOGIN_PATH:
            changed.set()

    found = await blocking_inhibitors(bus)
    if not found:
        return ()
    await bus.watch(f"type='signal',sender='{LOGIN}',path='{LOGIN_PATH}'", heard)
    bus.closed.add_done_callback(lambda _end: changed.set())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while found := await blocking_inhibitors(bus):
                on_blocked(found)
                await changed.wait()
                changed.clear()
    return found


async def is_preparing_for_shutdown(bus: Bus) -> bool:
    """Whether the node is going down already."""
    try:
        return bool(await bus.read_property(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.PreparingForShutdown", _TIMEOUT))
    except (PeerClosed, RemoteError, TimeoutError) as error:
        raise _refused("cannot ask logind whether the node is going down", error) from error


async def reboot(bus: Bus, effects: Effects) -> None:
    """Ask for a reboot, as a client that is not to be asked back (no interactive authorization)."""

    async def call() -> None:
        try:
            await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.Reboot", "b", [False], timeout=_TIMEOUT)
        except (PeerClosed, RemoteError, TimeoutError) as error:
            raise _refused("logind did not reboot the node", error) from error

    await effects.mutate("logind Reboot", call)


def _shown(text: str) -> str:
    """Users who may object choose these words, which go to logs and terminals: one line, and not a long one."""
    cut = text[:_LONGEST]
    return cut if cut.isprintable() else repr(cut)[1:-1]


def _refused(what: str, error: Exception) -> AgentError:
    hint = "`systemd-inhibit --list` and `journalctl -u systemd-logind` tell why"
    return AgentError(Code.REBOOT_REFUSED, f"{what}: {str(error) or 'no answer'}", hint)
