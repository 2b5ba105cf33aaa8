"""``com.redhat.tuned``: a profile, and another one. Its texts are those of tuned's ``daemon.py`` and ``controller.py``.

It is no part of a simulated node, as it is none of RHCOS: whoever needs it starts it on the node's bus.
"""

from collections.abc import Mapping

from mcd_rt.dbus.names import TUNED, TUNED_CONTROL
from mcd_rt.dbus.wire import Message, Typed
from mcd_rt.sim.service import UNKNOWN_METHOD, BusService, CallError, Handler, Reply

RECOMMENDED = "virtual-guest"
PROFILES = ("balanced", "throughput-performance", RECOMMENDED, "realtime", "cpu-partitioning")


class Tuned:
    """The service. ``profile`` and ``automatic`` are what it runs, ``calls`` the members it was asked, in order.

    ``refuses`` is the text with which it refuses every switch; ``old`` has no modes (before 2.10).
    """

    def __init__(self, profile: str = RECOMMENDED, *, automatic: bool = False, old: bool = False) -> None:
        self.profile = profile
        self.automatic = automatic
        self.refuses = ""
        self.calls: list[str] = []
        handlers: dict[str, Handler] = {"active_profile": self._active, "switch_profile": self._switch}
        if not old:
            handlers |= {"profile_mode": self._mode, "auto_profile": self._auto}
        named = {f"{TUNED_CONTROL}.{name}": handler for name, handler in handlers.items()}
        self.service = BusService(TUNED, named, self._properties)

    def _properties(self, path: str, interface: str) -> Mapping[str, Typed]:
        raise CallError(UNKNOWN_METHOD, f"no properties of {interface} at {path}")

    async def _active(self, call: Message) -> Reply:
        self.calls.append(call.member)
        return "s", [self.profile]

    async def _mode(self, call: Message) -> Reply:
        self.calls.append(call.member)
        return "(ss)", [["auto" if self.automatic else "manual", ""]]

    async def _switch(self, call: Message) -> Reply:
        self.calls.append(call.member)
        return self._loaded(str(call.body[0]), automatic=False)

    async def _auto(self, call: Message) -> Reply:
        self.calls.append(call.member)
        return self._loaded(RECOMMENDED, automatic=True)

    def _loaded(self, profile: str, *, automatic: bool) -> Reply:
        unknown = [name for name in profile.split() if name not in PROFILES]
        why = self.refuses or (f"Requested profile '{unknown[0]}' doesn't exist." if unknown else "")
        if why:
            return "(bs)", [[False, why]]
        self.profile, self.automatic = profile, automatic
        return "(bs)", [[True, "OK"]]
