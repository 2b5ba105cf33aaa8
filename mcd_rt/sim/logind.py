"""``org.freedesktop.login1``: whether a reboot may be, and the reboot (``rpm-ostree-dbus.md`` 5)."""

from collections.abc import Callable, Mapping

from mcd_rt.dbus.names import BUS, LOGIN, LOGIN_MANAGER, LOGIN_PATH
from mcd_rt.dbus.wire import Message, Typed, Value
from mcd_rt.sim.faults import Faults
from mcd_rt.sim.service import UNKNOWN_METHOD, BusService, CallError, Handler, Reply

_ROOT_CHECKS_INHIBITORS = 1


class Logind:
    """The service; ``reboot`` is called with the process that asked for one."""

    def __init__(self, faults: Faults, reboot: Callable[[int], None], *, flags: bool) -> None:
        """``flags``: whether it has ``RebootWithFlags``."""
        self._faults = faults
        self._reboot = reboot
        self._flags = flags
        self._preparing = False
        self._wall = ""
        self._scheduled: list[Value] = ["", 0]
        handlers: dict[str, Handler] = {
            "Reboot": self._plain_reboot,
            "RebootWithFlags": self._reboot_with_flags,
            "CanReboot": self._can_reboot,
            "ListInhibitors": self._list_inhibitors,
            "SetWallMessage": self._set_wall_message,
            "ScheduleShutdown": self._schedule,
            "CancelScheduledShutdown": self._cancel,
        }
        named = {f"{LOGIN_MANAGER}.{name}": handler for name, handler in handlers.items()}
        self.service = BusService(LOGIN, named, self._properties)

    def inhibit(self, why: str) -> None:
        """Somebody blocks the reboot, or with no reason nobody any more; said as logind says it."""
        self._faults.inhibitor = why
        self.service.changed(LOGIN_PATH, LOGIN_MANAGER)

    def schedule(self, kind: str, at: float, message: str = "") -> None:
        """Somebody has said ``shutdown``, for ``at`` (seconds since the epoch); an empty kind: or taken it back."""
        self._scheduled, self._wall = [kind, int(at * 1_000_000)], message

    @property
    def scheduled(self) -> tuple[Value, str]:
        """The kind of the shutdown that is scheduled, and its message."""
        return self._scheduled[0], self._wall

    def prepare(self, *, shutdown: bool) -> None:
        """Say that the node goes down, or that it does not any more."""
        self._preparing = shutdown
        if not shutdown:  # the next boot knows nothing of what was announced in the last
            self._scheduled, self._wall = ["", 0], ""
        self.service.emit(LOGIN_PATH, f"{LOGIN_MANAGER}.PrepareForShutdown", "b", [shutdown])

    def _properties(self, path: str, interface: str) -> Mapping[str, Typed]:
        if (path, interface) != (LOGIN_PATH, LOGIN_MANAGER):
            raise CallError(UNKNOWN_METHOD, f"Unknown object {path} or interface {interface}.")
        blocked = "shutdown" if self._faults.inhibitor else ""
        return {
            "PreparingForShutdown": Typed("b", self._preparing),
            "BlockInhibited": Typed("s", blocked),
            "ScheduledShutdown": Typed("(st)", self._scheduled),
            "WallMessage": Typed("s", self._wall),
        }

    async def _plain_reboot(self, call: Message) -> Reply:
        """Ignores inhibitors, as root's calls do."""
        self._reboot(await self.service.process_of(call.sender))
        return "", []

    async def _set_wall_message(self, call: Message) -> Reply:
        text, enabled = call.body
        self._wall = str(text) if enabled else ""
        return "", []

    async def _schedule(self, call: Message) -> Reply:
        """Only the kind that announces, and does nothing when its time comes; shown as systemd 252 shows it."""
        kind, at = call.body
        if not str(kind).startswith("dry-"):
            raise CallError(f"{BUS}.Error.InvalidArgs", "Unsupported shutdown type")
        self._scheduled = [str(kind).removeprefix("dry-"), at]
        return "", []

    async def _cancel(self, _call: Message) -> Reply:
        was = bool(self._scheduled[0])
        self._scheduled = ["", 0]
        return "b", [was]

    async def _reboot_with_flags(self, call: Message) -> Reply:
        [flags] = call.body
        if not self._flags:
            raise CallError(
                UNKNOWN_METHOD, "Unknown method RebootWithFlags or interface org.freedesktop.login1.Manager."
            )
        if self._faults.inhibitor and isinstance(flags, int) and flags & _ROOT_CHECKS_INHIBITORS:
            raise CallError(f"{BUS}.Error.AccessDenied", "Access denied to root due to active block inhibitor")
        return await self._plain_reboot(call)

    async def _can_reboot(self, _call: Message) -> Reply:
        return "s", ["yes"]

    async def _list_inhibitors(self, _call: Message) -> Reply:
        lock: list[Value] = ["shutdown", "a simulated program", self._faults.inhibitor, "block", 0, 1]
        return "a(ssssuu)", [[lock] if self._faults.inhibitor else []]
