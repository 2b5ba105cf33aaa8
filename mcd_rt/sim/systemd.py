"""``org.freedesktop.systemd1``, as far as asking for a unit: ``ostree-finalize-staged.service``.

It is active from when something is staged, and its stop at shutdown is what finalizes it.
"""

from collections.abc import Mapping

from mcd_rt.dbus.names import SYSTEMD, SYSTEMD_MANAGER, SYSTEMD_PATH, SYSTEMD_UNIT
from mcd_rt.dbus.wire import Message, Typed
from mcd_rt.sim.service import UNKNOWN_METHOD, BusService, CallError, Handler, Reply

FINALIZER = "ostree-finalize-staged.service"
_UNIT_PATH = f"{SYSTEMD_PATH}/unit/ostree_2dfinalize_2dstaged_2eservice"


class Systemd:
    """The service."""

    def __init__(self) -> None:
        self._active = False
        handlers: dict[str, Handler] = {"GetUnit": self._get_unit, "Subscribe": self._subscribe}
        named = {f"{SYSTEMD_MANAGER}.{name}": handler for name, handler in handlers.items()}
        self.service = BusService(SYSTEMD, named, self._properties)

    def finalizer_is(self, *, active: bool) -> None:
        """Start or stop the finalizer, and tell everyone."""
        if active != self._active:
            self._active = active
            self.service.changed(_UNIT_PATH, SYSTEMD_UNIT)

    def _properties(self, path: str, interface: str) -> Mapping[str, Typed]:
        if (path, interface) != (_UNIT_PATH, SYSTEMD_UNIT):
            raise CallError(UNKNOWN_METHOD, f"Unknown object {path} or interface {interface}.")
        return {"Id": Typed("s", FINALIZER), "ActiveState": Typed("s", "active" if self._active else "inactive")}

    async def _get_unit(self, call: Message) -> Reply:
        name = str(call.body[0])
        if name != FINALIZER:
            raise CallError(f"{SYSTEMD}.NoSuchUnit", f"Unit {name} not loaded.")
        return "o", [_UNIT_PATH]

    async def _subscribe(self, _call: Message) -> Reply:
        return "", []
